"""What every worker of Ray imports as it starts, before it is asked for anything; nothing else imports this."""

import contextlib
import os
from pathlib import Path

import sweeper.executors.ray.tune  # noqa: F401
import trainers.maml.train  # noqa: F401
from sweeper.executors.ray.environment import AWAKE

with contextlib.suppress(KeyError, OSError):  # a worker that can't say so is waited for in vain, for a while
    Path(os.environ[AWAKE], str(os.getpid())).touch()
