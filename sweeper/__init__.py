"""Sweeps of trials: planned from one YAML file, run, journalled, tracked and carried elsewhere.

Owns everything between the sweep file and the records. Trains nothing itself: `trainers` does. Computes no statistics:
`analysis` does.
"""
