"""Planning: from a `Sweep` to its trials. Every point is resolved and identified before anything runs.

Owns the grid, the identity of a trial, and the selectors of the command line. Does not know what has been run.
"""
