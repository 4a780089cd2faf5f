"""The descriptions of added data sets in a results folder, so that its results are read where the pictures are absent.

A description is written when a run first uses the set. Built-in sets need none. Opens no array.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sweeper.results.journal_lines import JournalError, read_lines
from sweeper.results.paths import Results, ResultsError
from trainers.data.added import shelf
from trainers.data.added.description import Description, as_json, from_json
from trainers.data.archives import DataError
from trainers.sealed_file import write_whole


def keep(results: Results, names: Iterable[str]) -> None:
    """Write the descriptions of those of these sets that were added on this machine. Raises OSError, DataError."""
    for name in names:
        description = shelf.here(name)
        if description is not None:
            content, path = as_json(description), results.dataset(name)
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)


def make_known(results: Results) -> None:
    """Let plans and reports of this process know the sets that this folder's trials used. Raises ResultsError."""
    if results.datasets.is_dir():
        for path in sorted(results.datasets.glob("*.json")):
            if (known := _read(path)) is not None:
                shelf.also_known(known)


def _read(path: Path) -> Description | None:
    try:
        return shelf.read(path)
    except DataError as error:
        raise ResultsError(str(error)) from None


def described_in(content: bytes, path: Path) -> Description:
    """Return what `content`, the file at `path`, describes. Raises ResultsError."""
    try:
        return from_json(content, path)
    except DataError as error:
        raise ResultsError(str(error)) from None


def uses(results: Results) -> dict[str, Counter[str]]:
    """Return how many trials of each sweep used each data set, by the first line of every journal that can be read."""
    found: dict[str, Counter[str]] = {}
    for path in sorted(results.root.glob("trials/*/journal.jsonl")):
        with suppress(JournalError, OSError, LookupError, TypeError):
            line = next(iter(read_lines(path)), None)
            if line is not None:
                name = line["dataset"] if "trainer" in line else line["config"]["dataset"]
                if name:
                    found.setdefault(name, Counter())[line["sweep"]] += 1
    return found
