"""Checkpoint files: writing and reading whole ones, and reading their position or their records without torch."""
