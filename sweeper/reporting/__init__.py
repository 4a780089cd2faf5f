"""Reporting: the bridge from sweeps and results to `analysis`.

Apart from the commands, only this part imports more of `analysis` than its contract. Computes no statistics itself.
"""
