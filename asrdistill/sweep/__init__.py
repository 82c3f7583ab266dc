"""Sweeps over the settings of teachers, soft targets and students: one YAML file each."""
