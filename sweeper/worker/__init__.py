"""The worker's side: one assignment is trained, checkpointed and logged.

Owns the worker's log and its time limits. Writes no journal: it sends records, and the dealer journals them.
"""
