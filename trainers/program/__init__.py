"""A trainer that is any program: it is started with a trial's values in its arguments and prints JSON lines.

Owns the program's process, the lines it prints and the folder it saves in. Never uses a shell.
"""
