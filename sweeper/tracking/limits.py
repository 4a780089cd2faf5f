"""Shortens text to MLflow's limits: visibly, and with a hash, so that different texts stay different."""

import hashlib
from collections.abc import Mapping

LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_NAME = 250
"""MLflow's limits, in characters. The last one holds for names of runs and keys of params."""


def fitted(text: str, longest: int) -> str:
    """Return `text`, or its beginning with its length and hash if it is longer than `longest` characters.

    Equal texts stay equal, different ones stay different. Nothing is lost: the artefact has the whole configuration,
    and the sweep file has the names.
    """
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    ending = f"... (shortened from {len(text)} characters, sha256 {digest})"
    return text[: longest - len(ending)] + ending


def fitted_values(values: Mapping[str, str], longest: int) -> dict[str, str]:
    """Return `values` with every value shortened as `fitted` does."""
    return {key: fitted(value, longest) for key, value in values.items()}
