"""Sweeps over the settings of teachers, soft targets and students: one YAML file each.

spec    the YAML file: what varies, what is measured
plan    a recipe's folders and settings -> runs, each of which makes one folder
run     runs side by side, then the results
"""
