"""A real MLflow server in processes of its own, to be killed and started again."""

import contextlib
import os
import signal
import socket
import urllib.request
from pathlib import Path

from sweeper.tracking.address import UI_ENVIRONMENT
from tests.chaos.program import environment
from tests.forks import Forked
from tests.mlflow_server import start_server
from tests.waiting import HANG_S, wait_until


class Server:
    """A real MLflow server on a loopback port that stays the same over its restarts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: Forked | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        options += ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        options += ["--artifacts-destination", str(self._folder / "artifacts")]
        self._process = start_server(
            options, cwd=self._folder, env=environment() | UI_ENVIRONMENT, log=self._folder / "server.log"
        )
        wait_until(self._answers, "the MLflow server answers")

    def kill(self) -> None:
        """Kill the server with its workers, as a crash of its machine would; without effect on one that is gone."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(HANG_S)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=60) as reply:
            return reply.status == 200
        return False
