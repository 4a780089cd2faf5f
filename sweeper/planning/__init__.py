"""From a `Sweep` to its trials: every point resolved and identified before anything runs."""
