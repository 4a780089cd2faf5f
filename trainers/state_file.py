"""The checkpoint file of trainers whose only records are readings: step, records, and content that the trainer knows.

Layout: the seal of `trainers.sealed_file`, one line of JSON with the step and all records so far, then the content. So
the records are readable without the trainer.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.fields import finite
from trainers.sealed_file import payload_of, seal, write_together
from trainers.trainer import CheckpointError, Record

_FORM = "sweeper state 1"
_BEGINS = json.dumps({"form": _FORM}).encode()[:-1]
_SEAL = 65


@dataclass(frozen=True, kw_only=True)
class State:
    """A resumable state: the steps taken, every record up to there, and `content`, empty before the first step."""

    step: int
    records: tuple[Record, ...] = ()
    content: bytes = b""


def save_together(files: Iterable[tuple[Path, State]]) -> None:
    """Write each (path, state); the files appear together, after all are complete and on disk. Raises OSError."""
    write_together((path, seal(_payload(state))) for path, state in files)


def load(path: Path) -> State:
    """Return the state in `path`. Raises CheckpointError with its name if it is missing or damaged, else OSError."""
    payload = payload_of(path)
    try:
        return _state(payload)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def records_in(payload: bytes) -> list[tuple[int, str, dict[str, Any]]]:
    """Return the records (step, key, value) in the unsealed content of a file. Raises ValueError if it is no such."""
    return [(record.step, record.key, record.value) for record in _state(payload).records]


def is_one(path: Path) -> bool:
    """Return whether `path` begins like such a file; its digest is not checked."""
    try:
        with path.open("rb") as file:
            return file.read(_SEAL + len(_BEGINS))[_SEAL:] == _BEGINS
    except OSError:
        return False


def _payload(state: State) -> bytes:
    head = {"form": _FORM, "step": state.step, "records": state.records}
    return json.dumps(head, allow_nan=False).encode() + b"\n" + state.content


def _state(payload: bytes) -> State:
    head, _, content = payload.partition(b"\n")
    try:
        found = json.loads(head)
        if found["form"] != _FORM or not _is_count(found["step"]):
            raise ValueError("its first line has another form")
        records = tuple(_record(*entry) for entry in found["records"])
        return State(step=found["step"], records=records, content=content)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a checkpoint ({error})") from None


def _record(step: Any, key: Any, value: Any) -> Record:
    if not _is_count(step) or not isinstance(key, str) or not isinstance(value, dict):
        raise ValueError("a record has another form")
    if not all(isinstance(name, str) and finite(number) for name, number in value.items()):
        raise ValueError("a record holds more than finite numbers")
    return Record(step, key, value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
