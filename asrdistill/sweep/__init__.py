"""Sweeps: what a student owes to each of the paper's knobs.

settings  what one system is made with; what a recipe made its own systems with
spec      one YAML file: what varies, what is measured
plan      settings -> runs of the command's own verbs, each of which makes one folder
execute   runs side by side, as processes
collect   what was measured -> EXP/sweeps/<sweep>.json
draw      a sweep's figures -> its picture and its table
"""
