"""Prototypical networks (Snell, Swersky and Zemel 2017): the second trainer, on MAML's episodes, networks and data.

Owns the config, the loss of an episode, and the training loop. Journals nothing and compares no methods.
"""
