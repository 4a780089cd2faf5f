"""The one error that analysis raises for what a user can put right."""


class AnalysisError(Exception):
    """A report that can't be made; the message says what was wrong, the value, where, and what to do next."""
