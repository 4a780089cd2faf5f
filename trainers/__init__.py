"""Few-shot meta-learning trainers: MAML in first and second order, and ANIL, on real and synthetic characters.

Runs alone: `python -m trainers CONFIG.yaml`. It does no orchestration, no tracking and no reports.
"""
