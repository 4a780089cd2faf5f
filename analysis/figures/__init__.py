"""Figures: one module per kind, where `*_info` computes and `draw_*` draws.

Owns how figures look. Reads no store and gives no verdict.
"""
