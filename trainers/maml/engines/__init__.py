"""How the maths of one episode is mapped over episodes and runs."""
