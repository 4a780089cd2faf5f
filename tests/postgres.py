"""A PostgreSQL of the system's packages, on a loopback port, with a password."""

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.lab import free_port


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
