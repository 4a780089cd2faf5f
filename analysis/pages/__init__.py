"""From tables and verdicts to Markdown, LaTeX, CSV and HTML."""
