"""The authors' stored results: what they measured, what they drew from it, and both as records of ours.

`python -m analysis.paper.authors RAW.csv.gz` writes the tables that `analysis.paper.published` reads.
"""
