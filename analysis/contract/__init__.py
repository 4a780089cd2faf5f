"""The contract: what sweeper writes and analysis reads.

Owns names, records, the states of a trial, and the questions of a sweep file. Imports nothing else of this project and
computes nothing.
"""
