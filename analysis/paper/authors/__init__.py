"""The authors' stored results: their measurements, the curves they drew, and the same runs as records of our format.

`python -m analysis.paper.authors RAW.csv.gz` writes the tables that `analysis.paper.published` reads.
"""
