"""How assignments reach workers: in this process, or by Ray."""
