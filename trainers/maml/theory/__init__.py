"""The paper's claims, and ours about the code, as computations: each gives rows of statement, error and verdict.

It reads no results of sweeps and prints nothing.
"""
