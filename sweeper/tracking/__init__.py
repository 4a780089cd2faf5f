"""The tracking store, a view of the journals: its address, what a run shows, and bringing it up to date."""
