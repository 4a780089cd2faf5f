"""What a person sees on the terminal while a command works and when it ends. Parses nothing and decides nothing."""
