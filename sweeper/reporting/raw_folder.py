"""A folder of raw data: its records, and the files that say which sweep and which trials it is about.

`analysis.raw_data` owns the form of the records.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.contract.record import dataset_of
from sweeper.errors import SweepError
from sweeper.sweepfile.sweep import Sweep

if TYPE_CHECKING:
    from analysis.store import Loaded

SWEEP, QUESTION = "sweep.yaml", "question.json"
"""The sweep file, and the profile and selectors that choose its trials."""


def question_files(sweep: Sweep, profile: str | None, only: Sequence[str]) -> dict[str, bytes]:
    """Return the files that make a report of raw data without the sweep's own file."""
    asked = {"profile": profile, "only": list(only)}
    return {SWEEP: sweep.path.read_bytes(), QUESTION: (json.dumps(asked) + "\n").encode()}


def question(folder: Path) -> tuple[str | None, list[str]]:
    """Return the profile and the selectors of the raw data in `folder`. Raises SweepError."""
    try:
        asked = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
        return asked["profile"], asked["only"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SweepError(
            f"{folder / QUESTION} can't be read ({error}); name the sweep FILE, or write the raw data again with "
            "`sweeper report FILE --format data`"
        ) from None


def read(folder: Path) -> "Loaded":
    """Return the records in `folder`. Raises SweepError."""
    from analysis.errors import AnalysisError
    from analysis.raw_data import load

    try:
        return load(folder)
    except AnalysisError as error:
        raise SweepError(str(error)) from None


def digests(loaded: "Loaded") -> dict[str, str]:
    """Return the digest of each data set that the trials were trained with."""
    found = {dataset_of(record): record["attempts"][-1]["digest"] for record in loaded.records.values()}
    return {name: digest for name, digest in found.items() if name}
