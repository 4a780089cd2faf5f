"""Plan, run, track and report sweeps of few-shot meta-learning trials."""
