"""What every worker of Ray imports as it starts, before it is asked for anything; nothing else imports this."""

import contextlib
import os
from pathlib import Path

import sweeper.ray_tune  # noqa: F401
import trainers.train  # noqa: F401
from sweeper.ray_environment import AWAKE

with contextlib.suppress(KeyError, OSError):  # a worker that can't say so is waited for in vain, for a while
    Path(os.environ[AWAKE], str(os.getpid())).touch()
