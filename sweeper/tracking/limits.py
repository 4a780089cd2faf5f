"""How text that is longer than MLflow takes is shown: cut where everyone sees it, and told apart by what was cut."""

import hashlib
from collections.abc import Mapping

LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_NAME = 250
"""MLflow's limits, in characters; a run's name counts as a name like the key of a param."""


def fitted(text: str, longest: int) -> str:
    """Return `text`, or its beginning with its length and hash where it is longer than `longest` characters.

    Equal texts stay equal and different ones different. Nothing is lost: the artefact has the whole configuration, and
    the sweep file the names.
    """
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    ending = f"... (shortened from {len(text)} characters, sha256 {digest})"
    return text[: longest - len(ending)] + ending


def fitted_values(values: Mapping[str, str], longest: int) -> dict[str, str]:
    """Return `values` with every value fitted."""
    return {key: fitted(value, longest) for key, value in values.items()}
