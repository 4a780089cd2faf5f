"""The worker's side: trains one assignment, writes its checkpoints and its log.

Owns the worker's log and its time limits. Writes no journal: it sends records, and the dealer writes them down.
"""
