"""Archives: one file that carries the results of a sweep to another folder.

Owns the archive's format, its export and its import. Copies journals and checkpoints as they are. Does not interpret
measurements, and does not touch the tracking store.
"""
