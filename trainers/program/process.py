"""A program that runs: its process, and a thread that reads what it prints and keeps its checkpoints.

Judges nothing that it reads; see `trainers.program.training`.
"""

import contextlib
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.log_line import log_line
from trainers.program import guardian
from trainers.program.checkpoint_folder import GoneError, UnfitError, packed
from trainers.program.output import Lines, StepLine, is_name, step_line

_POLL_S = 0.05
_PIECE = 65_536
_MOST_WAITING = 10_000
"""Lines that wait to be judged. When there are more, the program waits, and no line is lost."""
_STRAY_S = 1.0
"""How long after the program's end another process may hold its output open."""


@dataclass(frozen=True)
class Text:
    """A line for the log."""

    text: str


@dataclass(frozen=True)
class Kept:
    """The checkpoint that a line has named; `content` is None if it could not be kept, and `why` says the reason."""

    step: object
    content: bytes | None
    why: str = ""
    unfit: bool = False


@dataclass(frozen=True)
class Ended:
    """The program has ended: its exit code, or minus the number of the signal that killed it."""

    code: int


News = Text | StepLine | Kept | Ended


class Process:
    """A program from its start to its end. Everything of it ends with `kill`, or with this process."""

    def __init__(
        self, command: Sequence[str], folder: Path, checkpoints: Path | None, extra: Mapping[str, str]
    ) -> None:
        """Start `command` in `folder`; `checkpoints` is the folder of the checkpoints that its lines name.

        Raises OSError if no process can be started. A program that can't be started says so and ends with code 127.
        """
        self._checkpoints = checkpoints
        self._news: queue.Queue[News] = queue.Queue(_MOST_WAITING)
        self._unheard = threading.Event()
        lifeline, self._owned = os.pipe()
        try:
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, str(lifeline), *command],
                cwd=folder,
                env={**os.environ, **extra},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._owned)
            raise
        finally:
            os.close(lifeline)
        self._lock = threading.Lock()
        self._open = True
        self._reader = threading.Thread(target=self._read, name="program", daemon=True)
        self._reader.start()

    def next(self, timeout_s: float) -> News | None:
        """Return the next news, None if there is none in `timeout_s`. The last is Ended."""
        try:
            return self._news.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None

    def terminate(self) -> None:
        """Send SIGTERM to the program's processes."""
        with self._lock, contextlib.suppress(OSError):
            if self._open:
                os.write(self._owned, b"t")

    def kill(self) -> None:
        """Kill every process of the program, and wait for that. What it printed and was not asked for is dropped."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._owned)
        self._unheard.set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guardian.wait(guardian.REAPING_S + 1)
        if self._guardian.poll() is None:  # a process in the kernel, such as one that waits for a disk
            self._guardian.kill()
        self._reader.join(_STRAY_S + 1)

    def _tell(self, news: News) -> None:
        while not self._unheard.is_set():
            try:
                self._news.put(news, timeout=0.1)
            except queue.Full:
                continue
            return

    def _read(self) -> None:
        """Read both streams to their end, and tell what they say."""
        assert self._guardian.stdout is not None and self._guardian.stderr is not None
        out, err = self._guardian.stdout.fileno(), self._guardian.stderr.fileno()
        heard: dict[int, Callable[[bytes], None]] = {out: self._hear, err: self._hear_error}
        lines = {out: Lines(), err: Lines()}
        poll = select.poll()
        for stream in heard:
            poll.register(stream, select.POLLIN | select.POLLHUP)
        ended_s = None
        while heard:
            looked_s = time.monotonic()
            ready = poll.poll(_POLL_S * 1000)
            if not ready:
                if self._guardian.poll() is not None:
                    ended_s = ended_s or looked_s
                    if looked_s - ended_s > _STRAY_S:
                        break
                continue
            for stream, _ in ready:
                piece = os.read(stream, _PIECE)
                for line in lines[stream].feed(piece):
                    heard[stream](line)
                if not piece:
                    heard[stream](lines[stream].rest())
                    poll.unregister(stream)
                    del heard[stream]
        self._tell(Ended(self._guardian.wait()))
        self._guardian.stdout.close()
        self._guardian.stderr.close()

    def _hear(self, line: bytes) -> None:
        """Tell what a line of standard output says."""
        said = step_line(line)
        if said is None:
            self._hear_error(line)
            return
        self._tell(said)
        if self._checkpoints is not None and is_name(said.checkpoint):
            self._tell(self._kept(self._checkpoints, said.step, said.checkpoint))

    def _hear_error(self, line: bytes) -> None:
        text = log_line(line.decode("utf-8", "replace"))
        if text:
            self._tell(Text(text))

    @staticmethod
    def _kept(folder: Path, step: object, checkpoint: str) -> Kept:
        try:
            return Kept(step, packed(folder, checkpoint))
        except UnfitError as error:
            return Kept(step, None, str(error), unfit=True)
        except (GoneError, OSError) as error:
            return Kept(step, None, str(error))
