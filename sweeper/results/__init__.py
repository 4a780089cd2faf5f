"""The results folder, which is the truth: paths, locks, journals, and where each planned trial stands."""
