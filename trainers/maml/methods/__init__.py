"""What a method computes in place of, or from, the inner loop of `maml.adapt`: one module for each formula of a paper.

The schedule of a training, evaluations and speed are elsewhere.
"""
