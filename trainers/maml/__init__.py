"""The MAML trainer: config, protocols, episodes, networks, inner loop, explicit losses, probes, and the training loop.

It yields records and states. It writes no journal, schedules no trials and compares no results.
"""
