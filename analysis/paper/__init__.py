"""The paper that is rebuilt: the authors' numbers, and how our set-up differs from theirs.

Owns their published tables. Does not judge: `judging` compares ours with theirs.
"""
