"""Runs a program and ends all its processes when this script's owner is gone. It is started as a script of its own.

Arguments: the number of a pipe's open end, and the command. The owner writes `t` into the pipe to pass SIGTERM on. When
the pipe is closed, by the owner or by its death, every process of the program is killed. Loads no other module of the
project, because it has to start at once.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
_CHILDREN = "/proc/self/task/{}/children"
NOT_STARTED = 127
REAPING_S = 5.0


def main(lifeline: int, command: list[str]) -> int:
    """Run `command` to its end and return how it ended, as `os.waitpid` says it."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what leaves its group comes back to this process
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    wake, waking = os.pipe()
    for end in (wake, waking):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    guardian = os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, guardian)
    with contextlib.suppress(OSError):  # the program does it as well; whoever is first
        os.setpgid(child, child)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)  # so that the program's end is the end of its output
    while True:
        ready, _, _ = select.select([lifeline, wake], [], [])
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            status = _ended(child)
            if status is not None:
                _kill_all(child)
                return status
        if lifeline in ready:
            asked = os.read(lifeline, 1)
            if not asked:
                _kill_all(child)
                return _ended(child) or signal.SIGKILL
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGTERM)


def _become(command: list[str], guardian: int) -> None:
    """Become the program. If that can't be, say why and end."""
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guardian:
            os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} can't be started: {error.strerror}\n".encode(errors="replace"))
    finally:
        os._exit(NOT_STARTED)


def _ended(child: int) -> int | None:
    """Return how the program ended, None while it runs. Other processes that ended are forgotten."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            found = status if process == child else found
    return found


def _kill_all(child: int) -> None:
    """Kill every process of the program, those that left its group included where the system lists them."""
    ends = time.monotonic() + REAPING_S
    while time.monotonic() < ends:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        for process in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            time.sleep(0.005)


def _children() -> Iterator[int]:
    with contextlib.suppress(OSError), open(_CHILDREN.format(os.getpid()), encoding="ascii") as file:  # noqa: PTH123  pathlib takes as long to load as all else
        yield from map(int, file.read().split())


def _prctl(option: int, value: int) -> None:
    """Ask the Linux kernel for an option of this process; does nothing elsewhere."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)


def end_as(status: int) -> None:
    """End this process as the program ended."""
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


if __name__ == "__main__":
    end_as(main(int(sys.argv[1]), sys.argv[2:]))
