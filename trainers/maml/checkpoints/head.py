"""Reads from a checkpoint how far its evaluation is, without its tensors and without torch. Checks no digest."""

import tokenize
import zipfile
import zlib
from pathlib import Path

NOTHING_SCORED = (0, 0, 0)
"""The shape of the scores of a run that has no unfinished evaluation."""

MALFORMED = (
    EOFError, LookupError, RuntimeError, SyntaxError, ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What zipfile and numpy raise for a file that no run has written."""


def scores_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape (heads, episodes, inner steps) of the scores in the checkpoint `path`; None if unreadable.

    This reads a few hundred bytes, so a dealer can do it for thousands of trials. `checkpoint.read` reads it all.
    """
    from numpy.lib import format as npy  # late, because a command that only plans loads no numpy

    try:
        with zipfile.ZipFile(path) as archive, archive.open("correct.npy") as file:
            if npy.read_magic(file) != (1, 0):
                return None
            shape, _, _ = npy.read_array_header_1_0(file)
            return tuple(shape)
    except (OSError, *MALFORMED):
        return None
