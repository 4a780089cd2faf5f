"""The process that trains: its allocator keeps freed memory, and its peak memory is measured.

It sets no limits and starts or stops no process.
"""
