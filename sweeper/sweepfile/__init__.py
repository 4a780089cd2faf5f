"""The sweep file: from YAML to a `Sweep`, with every mistake named at its line.

Owns the keys of a file, its axes and its readings. Does not combine axes into trials: `planning` does.
"""
