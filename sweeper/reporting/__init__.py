"""Reporting: the bridge from sweeps and results to `analysis`.

Besides the commands, the only part that imports more of `analysis` than its contract. Computes no statistics itself.
"""
