"""One `sweeper run`: its sweeps, what is left to do, and the session that does it.

Owns the decisions before a run, signals, and the order of its rounds. Prints nothing; the command prints.
"""
