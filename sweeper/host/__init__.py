"""This process and this machine: devices, versions, streams, the garbage collector."""
