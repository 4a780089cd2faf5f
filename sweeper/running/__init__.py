"""One `sweeper run`: its sweeps, the trials that are left to train, and the session that trains them.

Owns the decisions before a run, the reaction to signals, and the order of rounds. Prints nothing: the command does.
"""
