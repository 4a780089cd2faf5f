"""One `sweeper run`: its sweeps, what is left to do, and the session that does it."""
