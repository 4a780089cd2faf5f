"""A real PostgreSQL, and a real MLflow server on it that asks for a password; both can be stopped and started again."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from sweeper.tracking_uri import UI_ENVIRONMENT
from tests.chaos.program import wait_until
from tests.cluster.lab import free_port
from tests.sweeper.command import environment

ADMIN = "admin"


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs on this machine, or None."""
    on_path = shutil.which("pg_ctl")
    places = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


class Postgres:
    """A database cluster on a loopback port with a password, run by a user that isn't root, which it refuses."""

    def __init__(self, programs: Path) -> None:
        self._programs, self._port, self._password = programs, free_port(), secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="sw-pg-"))
        self._user = next((name for name in ("postgres", "nobody") if _is_user(name)), "") if os.getuid() == 0 else ""
        words = self._folder / "password"
        words.write_text(self._password, encoding="utf-8")
        if self._user:
            shutil.chown(self._folder, self._user)
            shutil.chown(words, self._user)
        self._run("initdb", "--username", "mlflow", "--auth", "scram-sha-256", "--pwfile", str(words), "--no-sync")
        self.start()
        try:
            self._make_databases()
        except BaseException:
            self.close()
            raise

    def _make_databases(self) -> None:
        import psycopg2

        connection = psycopg2.connect(self.uri("postgres").replace("+psycopg2", ""))
        connection.autocommit = True
        for database in ("mlflow", "auth"):
            connection.cursor().execute(f"CREATE DATABASE {database}")
        connection.close()

    def uri(self, database: str) -> str:
        """Return where a database is; which driver is said, since SQLAlchemy's own choice depends on its version."""
        return f"postgresql+psycopg2://mlflow:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        listen = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        self._run("pg_ctl", "--wait", "--log", str(self._folder / "log"), "--options", listen, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash would: connections are cut and the next start recovers."""
        self._run("pg_ctl", "--wait", "--mode", "immediate", "stop")

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        other = ["setpriv", f"--reuid={self._user}", f"--regid={_group(self._user)}", "--clear-groups"]
        command = [str(self._programs / program), "--pgdata", str(self._folder / "data"), *words]
        log = subprocess.DEVNULL  # a pipe would stay open as long as the server that pg_ctl leaves behind
        subprocess.run(
            [*(other if self._user else ()), *command], cwd="/", check=True, stdin=log, stdout=log, stderr=log
        )


def _is_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid if user else 0


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
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def credentials(self) -> dict[str, str]:
        """Return what a client sets in its environment."""
        return {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": self.password}

    def start(self) -> None:
        """Start it, and wait until it lets us in and answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--app-name", "basic-auth", "--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", "1"],
                cwd=self._folder,
                env=environment() | UI_ENVIRONMENT | self._secrets,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._lets_us_in, 90, self.said)

    def _lets_us_in(self) -> bool:
        assert self._process.poll() is None, self.said()
        return self.answers(self.password) == 200

    def said(self) -> str:
        return (self._folder / "server.log").read_text(encoding="utf-8")[-3000:]

    def kill(self) -> None:
        """Kill the server with its workers; without effect on one that is gone."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def answers(self, password: str) -> int | None:
        """Return the status of a real request of the administrator with `password`, or None if nobody is there."""
        asked = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/experiments/search?max_results=1")
        asked.add_header("Authorization", f"Basic {b64encode(f'{ADMIN}:{password}'.encode()).decode()}")
        try:
            with urllib.request.urlopen(asked, timeout=5) as reply:
                return reply.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return None
