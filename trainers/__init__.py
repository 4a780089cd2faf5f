"""Few-shot meta-learning trainers: MAML in first and second order, and ANIL, on real and synthetic characters.

Usable alone (`python -m trainers CONFIG.yaml`); knows nothing of orchestration, tracking or command lines.
"""
