"""The results folder, which is the truth.

Owns its paths, locks, journals and index, and where each planned trial stands. Does not train, and does not know the
tracking store, which is only a view of the journals.
"""
