"""The paper that this project reproduces: the authors' numbers, and how our set-up differs from theirs.

Owns the tables of their numbers. Gives no verdicts: `judging` compares our numbers with theirs.
"""
