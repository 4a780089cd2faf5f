"""A real MLflow server in a fork of the warm process: `mlflow server` and the uvicorn that it starts, in one process.

`mlflow server` by itself imports MLflow twice, for itself and for uvicorn. One of several workers starts interpreters.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.forks import Forked, fork

PROGRAM = """
import os, runpy, sys
import uvicorn
import mlflow.server

def serve(command, *, extra_env, **_):
    os.environ.update(extra_env)
    sys.argv = command[2:]
    runpy.run_module("uvicorn", run_name="__main__")
    sys.exit()

mlflow.server._exec_cmd = serve
from mlflow.cli import cli
cli()
"""


def start_server(options: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Forked:
    """Start `mlflow server OPTIONS` in `cwd` as the leader of a process group, writing to `log`."""
    with log.open("ab") as file:
        said = file.fileno()
        return fork(PROGRAM, ["server", *options], cwd=cwd, env=env, stdout=said, stderr=said, start_new_session=True)
