"""A trainer made of a plain function by the decorator `trainer`. Owns the form in which its state is kept.

It knows no method of training, and needs neither torch nor numpy.
"""
