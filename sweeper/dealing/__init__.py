"""Handing trials to workers and journalling what comes back, whatever carries the messages."""
