"""Sweeps of trials: plan one from a YAML file, run it, journal it, track it, report it and export it.

Owns everything between the sweep file and the records. Does not train (`trainers` does) or compute statistics
(`analysis` does).
"""
