"""Executors: how assignments reach workers, in this process or by Ray.

Owns processes and messages. Does not decide which trial is next and writes no journal: the dealer does both.
"""
