"""The data sets: this part finds, checks, converts and maps them, and knows their classes and splits.

It draws no episodes and knows no config. Only `on_device` loads torch. No data set ever replaces a missing one.
"""
