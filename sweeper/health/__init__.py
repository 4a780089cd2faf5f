"""Health: what this machine has and lacks for a run, each finding with what to do.

Owns the checks of `sweeper doctor`. Repairs nothing.
"""
