"""A real PostgreSQL, and a real MLflow server on it that asks for a password; both can be stopped and started again."""

import os
import secrets
import signal
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from sweeper.tracking.address import UI_ENVIRONMENT
from tests.cluster.lab import free_port
from tests.forks import Forked
from tests.mlflow_server import start_server
from tests.postgres import Postgres
from tests.sweeper.command import environment
from tests.waiting import HANG_S, wait_until

ADMIN = "admin"


class AuthenticatedServer:
    """An MLflow server on PostgreSQL with basic authentication; secrets go by the environment and files alone."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self._folder, self._port, self.password = folder, free_port(), secrets.token_hex(16)
        self.uri = f"http://127.0.0.1:{self._port}"
        config = folder / "auth.ini"
        config.write_text(
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
            f"database_uri = {postgres.uri('auth')}\nadmin_username = {ADMIN}\nauth_cache_ttl_seconds = 60\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
            encoding="utf-8",
        )
        self._secrets = {
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            "MLFLOW_BACKEND_STORE_URI": postgres.uri("mlflow"),
        }
        self._process: Forked | None = None

    @property
    def credentials(self) -> dict[str, str]:
        """Return what a client sets in its environment."""
        return {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": self.password}

    def start(self) -> None:
        """Start it, and wait until it lets us in and answers."""
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        options += ["--app-name", "basic-auth", "--artifacts-destination", str(self._folder / "artifacts")]
        env = environment() | UI_ENVIRONMENT | self._secrets
        self._process = start_server(options, cwd=self._folder, env=env, log=self._folder / "server.log")
        wait_until(self._lets_us_in, self.said)

    def _lets_us_in(self) -> bool:
        assert self._process.poll() is None, self.said()
        return self.answers(self.password) == 200

    def said(self) -> str:
        return (self._folder / "server.log").read_text(encoding="utf-8")[-3000:]

    def kill(self) -> None:
        """Kill the server with its workers; without effect on one that is gone."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(HANG_S)

    def answers(self, password: str) -> int | None:
        """Return the status of a real request of the administrator with `password`, or None if nobody is there."""
        asked = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/experiments/search?max_results=1")
        asked.add_header("Authorization", f"Basic {b64encode(f'{ADMIN}:{password}'.encode()).decode()}")
        try:
            with urllib.request.urlopen(asked, timeout=HANG_S) as reply:
                return reply.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return None
