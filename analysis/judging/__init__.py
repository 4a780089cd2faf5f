"""Judging: verdicts on claims and values, from numbers.

Owns margins, tests and the adjustment for several claims. Writes no sentences: `pages` does.
"""
