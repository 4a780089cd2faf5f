"""Compiles and keeps the kernels of engines, in a process of its own: `python -m trainers.maml.compile_ahead`.

Reads JSON from standard input: a list of pairs, the name of an engine and the fields of a config. Trains nothing.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.kernel_cache import nothing_kept
from trainers.maml.engines.table import COMPILING
from trainers.tuned import Command

WORDS = (sys.executable, "-P", "-m", "trainers.maml.compile_ahead")
KINDS = ("dtype", "algorithm", "order")
"""The config fields on which it depends which kernels are compiled."""


def compiling(trials: Iterable[tuple[str, TrialConfig]]) -> Command | None:
    """Return the command for the kernels that `trials` (engine, config) need; None if none is needed or some are kept.

    One trial of each kind of kernels stands for all.
    """
    first: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for engine, config in trials:
        if engine in COMPILING:
            kind = (engine, *(getattr(config, name) for name in KINDS))
            if kind not in first:
                first[kind] = engine, config.model_dump()
    return Command(WORDS, json.dumps(list(first.values()))) if first and nothing_kept() else None


def main() -> None:
    from trainers.maml.engines.engines import build

    for engine, fields in json.load(sys.stdin):
        build(engine, resolve(fields))


if __name__ == "__main__":
    main()
