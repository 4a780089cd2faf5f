"""Compiles the kernels of a run in a process of its own while the workers start, which takes them as long as that.

Nothing depends on it: a worker that needs a kernel first, or finds none, compiles it itself.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sweeper.planning.trial_spec import TrialSpec
from trainers.maml.engines.kernel_cache import nothing_kept
from trainers.maml.engines.table import COMPILING

COMMAND = (sys.executable, "-P", "-m", "trainers.maml.compile_ahead")
KINDS = ("dtype", "algorithm", "order")
"""The config fields on which it depends which kernels are compiled."""


def needed(todo: Iterable[TrialSpec], engines: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return an engine and a config for each kind of kernels that the trials of `todo` need and nobody has compiled."""
    first: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for spec in todo:
        engine = engines[spec.trial_id]
        if engine in COMPILING:
            kind = (engine, *(getattr(spec.cell_config, name) for name in KINDS))
            if kind not in first:
                first[kind] = engine, spec.config.model_dump()
    return list(first.values()) if first and nothing_kept() else []


@contextmanager
def compiling(kinds: list[tuple[str, dict[str, Any]]]) -> Iterator[None]:
    """Compile in another process while the block lasts. That process ends with the block, finished or not."""
    process = None
    if kinds:
        with suppress(OSError):  # no room for a process: the workers compile
            process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, text=True, start_new_session=True)
            assert process.stdin is not None
            process.stdin.write(json.dumps(kinds))
            process.stdin.close()
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()
