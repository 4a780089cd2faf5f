"""Checkpoints: a run's state in one file, written atomically, checked by digest, and read without unpickling.

Layout: 64 hexadecimal digits of sha256, a newline, and the npz archive (arrays and one JSON text) that they cover.
Callers decide when to save and which file to keep.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.maml.checkpoints.head import MALFORMED
from trainers.maml.engines.adam import Moments
from trainers.maml.networks import Params
from trainers.maml.run_state import RunState
from trainers.sealed_file import payload_of, seal, write_together
from trainers.trainer import CheckpointError, Record

_GROUPS = ("params", "first", "second")


def save(path: Path, state: RunState) -> None:
    """Write `state` to `path`, replacing an older file only once the new one is complete and on disk."""
    save_together([(path, state)])


def save_together(states: Iterable[tuple[Path, RunState]]) -> None:
    """Write each (path, state) of a pack; the files appear together, after all are complete and on disk."""
    write_together((path, _sealed(state)) for path, state in states)


def _sealed(state: RunState) -> bytes:
    groups = dict(zip(_GROUPS, (state.params, *state.moments), strict=True))
    arrays: dict[str, Any] = {
        f"{group}/{name}": value.numpy() for group, params in groups.items() for name, value in params.items()
    }
    text = json.dumps({"step": state.step, "records": state.records}, allow_nan=False)
    buffer = io.BytesIO()
    np.savez(buffer, correct=state.correct, text=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)
    return seal(buffer.getvalue())


def read(path: Path) -> RunState:
    """Return the state in `path`. Raises CheckpointError with its name if it is missing or damaged, else OSError."""
    payload = payload_of(path)
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.zip.infolist()):
                raise ValueError("it is compressed, so a small file could fill the memory")
            return _state({name: archive[name] for name in archive.files})
    except (TypeError, *MALFORMED) as error:
        raise CheckpointError(f"{path}: not a checkpoint ({error})") from None


def _state(arrays: dict[str, np.ndarray]) -> RunState:
    text = json.loads(arrays["text"].tobytes())
    groups: dict[str, Params] = {group: {} for group in _GROUPS}
    for name, value in arrays.items():
        group, _, parameter = name.partition("/")
        if parameter:
            groups[group][parameter] = torch.from_numpy(value)
    return RunState(
        step=text["step"],
        params=groups["params"],
        moments=Moments(groups["first"], groups["second"]),
        correct=arrays["correct"],
        records=tuple(Record(*record) for record in text["records"]),
    )
