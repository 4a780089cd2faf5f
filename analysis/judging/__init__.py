"""Judging: from numbers to verdicts on claims and values.

Owns margins, tests and the correction for several claims. Writes no sentences: `pages` does.
"""
