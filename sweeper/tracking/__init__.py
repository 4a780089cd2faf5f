"""The tracking store, a view of the journals.

Owns the store's address, what a run shows, and pushing journals to it. Decides nothing about training: a slow or broken
store delays the view and never a trial.
"""
