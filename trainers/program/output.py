"""What a program prints, line by line: JSON lines about steps, and other text. Checks no metric."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

LONGEST_LINE = 2**20
"""Bytes of a line; the rest of a longer one is left out."""
RESERVED = ("step", "checkpoint", "diverged")


class StepLine(NamedTuple):
    """A JSON line: the step it is about, the values of metrics, and what it says besides.

    `checkpoint` names a file or folder in the checkpoint folder that holds the whole state of that step, and that the
    program never changes again. None stands for a line without one.
    """

    step: Any
    values: dict[str, Any]
    checkpoint: Any
    diverged: Any


class Lines:
    """Puts the pieces of a stream together into lines."""

    def __init__(self) -> None:
        self._begun = b""
        self._cut = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield each line that `piece` completes."""
        *whole, rest = piece.split(b"\n")
        for end in whole:
            yield self._ended(end)
        self._keep(rest)

    def rest(self) -> bytes:
        """Return what the stream ends with, without a newline."""
        return self._ended(b"")

    def _keep(self, piece: bytes) -> None:
        room = LONGEST_LINE - len(self._begun)
        self._begun += piece[:room]
        self._cut += len(piece[room:])

    def _ended(self, end: bytes) -> bytes:
        self._keep(end)
        line = self._begun + (f" ... ({self._cut} more bytes)".encode() if self._cut else b"")
        self._begun, self._cut = b"", 0
        return line


def step_line(line: bytes) -> StepLine | None:
    """Return what a JSON line says, or None for any other line: one that is no JSON mapping with a key `step`."""
    text = line.strip()
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "step" not in found:
        return None
    values = {key: value for key, value in found.items() if key not in RESERVED}
    return StepLine(found["step"], values, found.get("checkpoint"), found.get("diverged", False))


def is_name(checkpoint: Any) -> bool:
    """Return whether a line names something directly in the checkpoint folder."""
    return isinstance(checkpoint, str) and checkpoint not in ("", ".", "..") and "/" not in checkpoint
