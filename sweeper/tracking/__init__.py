"""The tracking store, a view of the journals.

Owns its address, what a run shows, and bringing it up to date. Decides nothing about training: a slow or broken store
delays the view and never a trial.
"""
