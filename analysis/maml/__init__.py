"""Figures of MAML alone: they show its probes.

Owns what no other trainer measures. Reads no numbers but through `analysis.numbers.probes`.
"""
