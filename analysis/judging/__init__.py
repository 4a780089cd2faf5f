"""From numbers to verdicts on claims and values."""
