"""The imports of every Ray worker at its start, before its first assignment. No other module imports this one."""

import contextlib
import importlib
import os
from pathlib import Path

import sweeper.executors.ray.tune  # noqa: F401
from sweeper.executors.ray.environment import AWAKE, MODULES

for name in os.environ.get(MODULES, "").split():
    with contextlib.suppress(Exception):  # the first assignment says what is wrong
        importlib.import_module(name)

with contextlib.suppress(KeyError, OSError):  # without the file the driver waits for AWAITED_S
    Path(os.environ[AWAKE], str(os.getpid())).touch()
