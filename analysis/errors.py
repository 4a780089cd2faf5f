"""The one error that analysis raises for a fault that the user can correct."""


class AnalysisError(Exception):
    """A report can't be made. The message says what was wrong, the value, where, and what to do next."""
