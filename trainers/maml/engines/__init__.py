"""Engines: they compute one outer step of a pack of runs, by a loop, by `vmap`, by fused blocks or as a CUDA graph.

They change speed only: the maths of one episode is in `maml.adapt` and `maml.methods.contrastive`, the schedule is in
`maml.train`.
"""
