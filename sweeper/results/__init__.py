"""The results folder, the only source of truth.

Owns its paths, locks, journals and index, and the state of each planned trial. Does not train, and does not know the
tracking store, which is only a view of the journals.
"""
