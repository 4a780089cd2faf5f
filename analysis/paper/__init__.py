"""The paper that is rebuilt: the authors' numbers, and how our set-up differs."""
