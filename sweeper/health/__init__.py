"""Health: what this machine has and lacks for a run. Each finding says what to do.

Owns the checks of `sweeper doctor`. Repairs nothing.
"""
