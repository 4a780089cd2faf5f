"""The MAML trainer: its config, its maths, and the loop."""
