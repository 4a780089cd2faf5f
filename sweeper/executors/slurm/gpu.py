"""The GPU of a slot: that there is one, and how many trials train on it at once. Trains nothing.

Slurm gives a job its GPU by CUDA_VISIBLE_DEVICES, so the first device that is visible is the slot's own.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweeper.dealing.pack_size import pack_size
from sweeper.errors import SweepError
from sweeper.executors.slurm.submission import Submission
from sweeper.host.devices import choose_device
from sweeper.planning.trial_spec import TrialSpec
from trainers.data.datasets import data_root
from trainers.sealed_file import write_whole

MEASURED = 0
"""The size of packs in a submission that leaves it to the slots, since a login node has no GPU."""


def require(submission: Submission, say: Callable[[str], None]) -> None:
    """Raise SweepError if the submission trains on a GPU and this job has none that can be used."""
    if submission.content["device"] != "cuda":
        return
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
    try:
        _, found = choose_device("cuda")
    except SweepError as error:
        raise SweepError(f"the job has no GPU that works (CUDA_VISIBLE_DEVICES is {given}): {error}") from None
    say(f"{found}, CUDA_VISIBLE_DEVICES is {given}")


def pack_of(
    submission: Submission,
    trials: Sequence[TrialSpec],
    data: Mapping[str, Mapping[str, str]],
    node: str,
    say: Callable[[str], None],
) -> int:
    """Return how many of `trials` train as one pack: what was asked for, or what a GPU of this node has measured.

    The first slot of a node measures it, and the others read it. Trials train alone if measuring fails.
    """
    content = submission.content
    if content["pack"] != MEASURED:
        return content["pack"]
    kept = submission.folder / "packs" / f"{node}.json"
    known = _read(kept)
    if known is not None:
        return known
    try:
        size, why = pack_size(trials, content.get("begun", {}), "cuda", _root(submission, data))
    except SweepError as error:
        say(f"trials train alone: {error}")
        return 1
    say(f"packs of {size} ({why})")
    kept.parent.mkdir(exist_ok=True)
    write_whole(kept, json.dumps(size).encode())
    return size


def _read(kept: Path) -> int | None:
    try:
        size = json.loads(kept.read_bytes())
    except (OSError, ValueError):
        return None
    return size if type(size) is int and size > 0 else None


def _root(submission: Submission, data: Mapping[str, Mapping[str, str]]) -> Path:
    """Return the folder of the data sets on this node: the submitted one, or its own where it has copies."""
    asked = Path(submission.content["asked"]["data_root"])
    return asked if all(Path(one["path"]).is_relative_to(asked) for one in data.values()) else data_root(None)
