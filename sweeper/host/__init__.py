"""The host: this process and this machine.

Owns devices, versions and commit, the standard streams and garbage collection. Does not know sweeps or trials.
"""
