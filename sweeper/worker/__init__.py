"""The worker's side: one assignment trained, checkpointed and logged."""
