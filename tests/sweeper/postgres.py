"""A PostgreSQL of the system's packages, on a loopback port, with a password, for as long as a test lasts."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stores import free_port


def programs() -> Path | None:
    """Return the folder of PostgreSQL's own programs, or None where the system has none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """Run a new PostgreSQL with a database `mlflow`; yield its URI. It refuses root, who becomes nobody for it."""
    port, password = free_port(), secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="sweeper-pg-"))
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o600)
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, folder / "password"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def run(program: str, *words: str) -> None:
        as_nobody = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        command = [str(programs() / program), "--pgdata", str(folder / "data"), *words]
        with (folder / "said").open("ab") as said:  # a pipe would stay open with the server that pg_ctl leaves
            ended = subprocess.run(
                [*(as_nobody if os.getuid() == 0 else []), *command], cwd="/", stdout=said, stderr=said, check=False
            )
        assert ended.returncode == 0, (folder / "said").read_text()

    try:
        run("initdb", "--username=mlflow", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
        run("pg_ctl", "--wait", f"--log={folder / 'log'}", f"--options={options}", "start")
        try:
            server = f"postgresql://mlflow:{password}@127.0.0.1:{port}"
            make = [str(programs() / "createdb"), f"--maintenance-db={server}/postgres", "mlflow"]
            subprocess.run(make, check=True)
            yield f"{server}/mlflow"
        finally:
            run("pg_ctl", "--wait", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)
