"""From tracked trials to the tables, figures and verdicts of a paper.

Stands alone: imports neither `sweeper` nor `trainers`. Reads a tracking store and never writes to one. The sweep file's
questions come as the plain data of `analysis.contract`.
"""
