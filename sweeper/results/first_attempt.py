"""The engine and device that a trial began with, where its journal no longer says so. Changes no file.

A damaged first line, or a lost journal, leaves checkpoints that only the same engine continues to the bit.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, get_args

from sweeper.host.devices import Device
from sweeper.results.paths import TrialPaths, until_free
from trainers.trainer import Trainer

_JOURNALLED = (re.compile(rb'"engine":"([^"]+)"'), re.compile(rb'"device":"(\w+)"'))
_LOGGED = (re.compile(rb": engine ([^,\n]+), device"), re.compile(rb", device (\w+), threads"))


class Began(NamedTuple):
    """What every attempt of a trial keeps."""

    engine: str
    device: str


def began_with(paths: TrialPaths, trainer: Trainer) -> Began | None:
    """Return what damaged journals or else logs say of a trial of `trainer`; None if nothing is known. Raises OSError.

    A name that isn't known is passed over: it may be the damaged one, and every attempt repeats it.
    """
    devices: tuple[str, ...] = get_args(Device)
    engines = tuple(engine for device in devices for engine in trainer.engines(device))
    for content in _contents(paths):
        for of_engine, of_device in (_JOURNALLED, _LOGGED):
            names = {name.decode(errors="replace") for name in of_engine.findall(content)}
            engine = next((known for known in engines if known in names), None)
            named = {name.decode() for name in of_device.findall(content)}
            device = next((known for known in devices if known in named), None)
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
