"""Descriptions that MLflow shows as Markdown on top of a run or an experiment, and whose they are.

A description that a person wrote or removed stays as the person left it.
"""

import hashlib
from collections.abc import Mapping

NOTE = "mlflow.note.content"
TAG_NOTE = "sweeper.note"
"""Hash of the last description that we wrote. If the present one has another hash, it is a person's."""


def note_tags(text: str, shown: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that describe a run or experiment as `text`, which has the tags `shown`; none for a person's."""
    untouched = is_ours(shown) if NOTE in shown else TAG_NOTE not in shown
    if not text or not untouched or shown.get(NOTE) == text:
        return {}
    return {NOTE: text, TAG_NOTE: _digest(text)}


def is_ours(shown: Mapping[str, str]) -> bool:
    """Return whether we wrote the description among the tags `shown`."""
    return NOTE in shown and _digest(shown[NOTE]) == shown.get(TAG_NOTE)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
