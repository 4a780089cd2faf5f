"""Pages: tables and verdicts as Markdown, LaTeX, CSV and HTML.

Owns the words and the markup of a report. Computes no statistics and writes no files.
"""
