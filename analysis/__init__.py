"""Turns tracked trials into the tables, figures and verdicts of a paper.

Imports neither `sweeper` nor `trainers`. Reads a tracking store and never writes to it. The questions of a sweep file
arrive as the plain data of `analysis.contract`.
"""
