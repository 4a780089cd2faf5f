"""The engine and device that a trial began with, where its journal no longer says so. Changes no file.

A damaged first line, or a lost journal, leaves checkpoints that only the same engine continues to the bit.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, get_args

from sweeper.results.paths import TrialPaths, until_free
from trainers.maml.engines.table import ENGINES_OF_DEVICE, EngineName

_JOURNALLED = (re.compile(rb'"engine":"(\w+)"'), re.compile(rb'"device":"(\w+)"'))
_LOGGED = (re.compile(rb": engine (\w+), device"), re.compile(rb", device (\w+), threads"))


class Began(NamedTuple):
    """What every attempt of a trial keeps."""

    engine: EngineName
    device: str


def began_with(paths: TrialPaths) -> Began | None:
    """Return what the damaged journals or else the logs of a trial say; None if nothing is known. Raises OSError.

    A name that isn't known is passed over: it may be the damaged one, and every attempt repeats it.
    """
    for content in _contents(paths):
        for of_engine, of_device in (_JOURNALLED, _LOGGED):
            names = {name.decode() for name in of_engine.findall(content)}
            engine = next((known for known in get_args(EngineName) if known in names), None)
            devices = {name.decode() for name in of_device.findall(content)}
            device = next((known for known in ENGINES_OF_DEVICE if known in devices), None)
            if engine is not None and device is not None:
                return Began(engine, device)
    return None


def _contents(paths: TrialPaths) -> Iterator[bytes]:
    *damaged, _ = until_free(paths.damaged)
    for path in damaged:
        yield path.read_bytes()
    for attempt in range(1, 1 + paths.last_attempt()):
        if paths.log(attempt).exists():
            yield paths.log(attempt).read_bytes()
