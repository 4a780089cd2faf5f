"""Archives: one file that carries the results of a sweep to another folder.

Owns the archive's form, its export and its import. Reads and writes journals and checkpoints as they are; it does not
interpret measurements and does not touch the tracking store.
"""
