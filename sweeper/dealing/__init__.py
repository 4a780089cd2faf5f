"""Dealing: trials are handed to workers, and what comes back is journalled.

Owns the order of trials, attempts, retries and heartbeat timeouts. Does not know what carries the messages
(`executors`) and does not train (`worker`).
"""
