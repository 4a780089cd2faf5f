"""Data sets of one's own: from a folder of pictures to an array and a description, once, and where they are found.

Owns the layouts of folders that are read, the form of a description and the folder of added sets. Draws no episodes.
"""
