"""The host: this process and this machine.

Owns devices, versions and commit, the standard streams and the garbage collector. Does not know sweeps or trials.
"""
