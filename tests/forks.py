"""A process that has imported what `sweeper` imports, and forks for each command, so that no command pays for it.

A fork is a process of its own: its id, signals, exit code, streams, folder, environment and the interpreter's end are
real. It has imported more than a new interpreter has, under the environment of whoever asked first: a test of what is
imported, or of variables that are read at import, starts a new interpreter instead. Its new MLflow stores are copies of
one (see blank_store), and its pictures are blank. The processes of pytest-xdist share one warm process, which
ends when the last of them does. Who asks for forks `without` a package shares another one, in which no import finds it.
"""

import atexit
import contextlib
import importlib
import importlib.abc
import json
import logging
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import CodeType
from typing import IO

from tests.garbage import search_seldom
from tests.places import ROOT
from tests.waiting import wait_until

PARTS = ("sweeper", "trainers", "analysis")
LATER = (
    "alembic.script",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "pandas",
    "seaborn",
    "torch",
)
"""What the commands import only as they use it, of what takes long."""
LARGEST = 2**17
"""Bytes of a request: an environment, a program and its arguments."""


FOREVER = """
from tests.forks import serve, note_end
try:
    exec(serve())
except SystemExit as ended:
    note_end(ended.code)
    raise
else:
    note_end(None)
"""
"""The program of the process that forks, and what a fork does around its own."""


class Forked:
    """A process forked by the warm one, with what tests use of `subprocess.Popen`."""

    def __init__(self, told: int, streams: Mapping[str, IO[str]]) -> None:
        self.returncode: int | None = None
        self.stdout, self.stderr = streams.get("stdout"), streams.get("stderr")
        self._told = os.fdopen(told, "r", encoding="ascii")
        self.pid = int(self._line())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(self._line())
            self._told.close()
        return self.returncode

    def _line(self) -> str:
        line = self._told.readline()
        assert line, "the process that forks is gone"
        return line

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it writes to its pipes until their end, and wait for its own."""
        ends_s = None if timeout is None else time.monotonic() + timeout
        read = {"stdout": "", "stderr": ""}

        def drain(name: str, stream: IO[str]) -> None:
            with stream:
                read[name] = stream.read()

        pipes = {"stdout": self.stdout, "stderr": self.stderr}
        readers = [threading.Thread(target=drain, args=pipe, daemon=True) for pipe in pipes.items() if pipe[1]]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if ends_s is None else max(0.0, ends_s - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        self.wait(None if ends_s is None else max(0.0, ends_s - time.monotonic()))
        return read["stdout"], read["stderr"]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(
    program: str,
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int | None = None,
    stderr: int | None = None,
    start_new_session: bool = False,
    without: str = "",
) -> Forked:
    """Run `program` as `python -c PROGRAM ARGUMENTS` would; `stdout` and `stderr` are open files, else pipes.

    No import in it finds the package `without`, nor has any; programs that it starts are not told so.
    """
    with contextlib.ExitStack() as ours:
        theirs, streams = [_opened(ours, os.open(os.devnull, os.O_RDONLY))], {}
        for name, given in (("stdout", stdout), ("stderr", stderr)):
            if given is None:
                reading, given = os.pipe()
                ours.callback(os.close, given)
                streams[name] = os.fdopen(reading, "r", encoding="utf-8")
            theirs.append(given)
        told, telling = os.pipe()
        ours.callback(os.close, telling)
        asked = {"program": program, "arguments": [*arguments], "cwd": str(cwd), "env": dict(env)}
        request = json.dumps(asked | {"session": start_new_session}).encode()
        assert len(request) < LARGEST
        socket.send_fds(_warm_process(without), [request], [*theirs, telling])
    return Forked(told, streams)


def _opened(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


@cache
def _warm_process(without: str) -> socket.socket:
    """Connect to the process that forks, and start it if nobody has; its end comes with that of the last who asked."""
    address = f"\0sweeper-forks-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}-{without}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, contextlib.suppress(OSError):
        listener.bind(address)  # OSError: another of pytest's processes was faster
        listener.listen()
        _start_warm_process(listener, without)
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wait_until(lambda: asking.connect_ex(address) == 0, "the process that forks")
    return asking


def _start_warm_process(listener: socket.socket, without: str) -> None:
    program = f"import sys; sys.path.insert(1, {str(ROOT)!r}); {FOREVER}"
    quiet = {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.Popen([sys.executable, "-c", program, without], stdin=listener, cwd=ROOT, env=os.environ | quiet)


def serve() -> CodeType:
    """Fork for each request until nobody asks any more, listening at stdin; return, in the fork, what it is to run."""
    atexit.register(_leave)  # before anybody else, so it comes last
    listener = socket.socket(fileno=os.dup(0))
    _warm_up(without=sys.argv[1])
    search_seldom()
    _keep_torchs_library()
    assert threading.active_count() == 1, threading.enumerate()
    asking: list[socket.socket] = []
    running: dict[int, tuple[int, int]] = {}  # the process and where to tell of its end, by the end's descriptor
    while True:
        for ready in select.select([listener, *asking, *running], [], [])[0]:
            if isinstance(ready, int):
                pid, telling = running.pop(ready)
                _tell(telling, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(telling)
                os.close(ready)
                continue
            if ready is listener:
                asking.append(listener.accept()[0])
                continue
            request, descriptors, _, _ = socket.recv_fds(ready, LARGEST, 4)
            if not request:
                asking.remove(ready)
                ready.close()
                if not asking:
                    sys.exit()
                continue
            *streams, telling = descriptors
            if (pid := os.fork()) == 0:
                for kept in (telling, *running, *(telling for _, telling in running.values())):
                    os.close(kept)
                for kept in (listener, *asking):
                    kept.close()
                return _become(json.loads(request), streams)
            for given in streams:
                os.close(given)
            _tell(telling, pid)
            running[os.pidfd_open(pid)] = (pid, telling)


_code: int | None = None


def note_end(code: object) -> None:
    """Remember what `sys.exit(code)` is about to end this process with."""
    global _code
    _code = 0 if code is None else code if isinstance(code, int) else 1


def _leave() -> None:
    """End a process that has told all, and spare it the taking apart of all that is imported, most of a second.

    What has Ray loaded is taken apart as it is for users, since Ray's own threads have ended processes meanwhile.
    """
    if _code is not None and "ray" not in sys.modules:
        logging.shutdown()
        with contextlib.suppress(OSError, ValueError):  # a stream that is closed is for Python to judge
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(_code & 0xFF)


def _tell(descriptor: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody asks any more
        os.write(descriptor, f"{number}\n".encode())


def _become(asked: Mapping[str, object], streams: Sequence[int]) -> CodeType:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would hand on "ignored"
    if asked["session"]:
        os.setsid()
    for number, given in enumerate(streams):
        os.dup2(given, number)
        os.close(given)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["-c", *asked["arguments"]]
    return compile(asked["program"], "<string>", "exec")


class _Without(importlib.abc.MetaPathFinder):
    """Finds nothing of a package, whether it is installed or not."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if f"{name}.".startswith(f"{self._package}."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _warm_up(without: str) -> None:
    if without:
        sys.meta_path.insert(0, _Without(without))
    for name in (*_modules(), *LATER):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not without or not f"{error.name}.".startswith(f"{without}."):
                raise
    import numba

    from analysis.pages import html
    from tests.blank_pictures import draw_blank
    from tests.blank_store import copy_from_now_on, latest_schema, made

    draw_blank(True)
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # of the migrations
    copy_from_now_on()
    made()
    latest_schema()
    numba.njit(lambda: 0)()  # loads what every compiled kernel needs, as long as a small trial takes
    if not without:
        _load_kernels()
    for template in html._environment().list_templates():
        html._environment().get_template(template)


def _keep_torchs_library() -> None:
    """Spare a fork the taking down of torch's operators, one by one, just before its memory is given back."""
    from torch.library import _del_library

    for final in list(weakref.finalize._registry):  # type: ignore[attr-defined] # its only list
        if final.alive and final.peek()[1] is _del_library:
            final.atexit = False


def _load_kernels() -> None:
    """Load the kernels that most forks train with, if they are compiled."""
    from trainers.maml.config import resolve
    from trainers.maml.engines.engines import build
    from trainers.maml.engines.kernel_cache import nothing_kept

    if not nothing_kept():
        build("compiled", resolve({"dataset": "strokes", "order": "first"}))


def _modules() -> Iterator[str]:
    """Yield every module of this project but those that set up Ray, which is to be imported by who uses it."""
    for part in PARTS:
        for found in pkgutil.walk_packages([str(ROOT / part)], f"{part}."):
            if not found.name.startswith("sweeper.executors.ray.") and not found.name.endswith("__main__"):
                yield found.name
