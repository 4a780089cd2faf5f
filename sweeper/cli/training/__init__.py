"""How `sweeper run` has trials trained, and the commands that it names afterwards. Parses and decides nothing."""
