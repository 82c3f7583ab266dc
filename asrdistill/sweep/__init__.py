"""Sweeps over the settings of teachers, soft targets and students: one YAML file each.

spec    the YAML file: what varies, what is measured
recipe  what a recipe made its own systems with: where all sweeps start
plan    settings -> runs, each of which makes one folder
run     runs side by side, then the results
"""
