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

from trainers.program import guardian
from trainers.program.checkpoint_folder import ChangedError, UnfitError, packed
from trainers.program.output import Lines, StepLine, for_log, step_line

PROMPT_S = 0.25
"""A checkpoint's folder is read if its line was printed at most so long ago: later, the program may have gone on."""
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
    """The checkpoint folder as it was at the last line with a checkpoint; `content` is None if it could not be kept."""

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
        """Start `command` in `folder`; `checkpoints` is the folder to keep when it says so.

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
        heard: dict[int, Callable[[bytes, float], None]] = {out: self._hear, err: self._hear_error}
        lines = {out: Lines(), err: Lines()}
        self._unkept: object = None
        poll = select.poll()
        for stream in heard:
            poll.register(stream, select.POLLIN | select.POLLHUP)
        empty_s, ended_s = time.monotonic(), None
        while heard:
            looked_s = time.monotonic()
            ready = poll.poll(_POLL_S * 1000)
            if all(stream != out for stream, _ in ready):
                empty_s = looked_s
            if not ready:
                if self._guardian.poll() is not None:
                    ended_s = ended_s or looked_s
                    if looked_s - ended_s > _STRAY_S:
                        break
                continue
            for stream, _ in ready:
                looked_s = time.monotonic()
                piece = os.read(stream, _PIECE)
                for line in lines[stream].feed(piece):
                    heard[stream](line, empty_s)
                if not piece:
                    heard[stream](lines[stream].rest(), empty_s)
                    poll.unregister(stream)
                    del heard[stream]
                if stream == out and len(piece) < _PIECE:
                    empty_s = looked_s
        code = self._guardian.wait()
        if self._unkept is not None and code >= 0:  # it ended by itself, so its folder is as it left it
            self._keep(self._unkept)
        self._tell(Ended(code))
        self._guardian.stdout.close()
        self._guardian.stderr.close()

    def _hear(self, line: bytes, empty_s: float) -> None:
        """Tell what a line of standard output says; it was printed after `empty_s`."""
        said = step_line(line)
        if said is None:
            self._hear_error(line, empty_s)
            return
        self._tell(said)
        if said.checkpoint is True and self._checkpoints is not None:
            if time.monotonic() - empty_s > PROMPT_S:
                self._unkept = said.step
                self._tell(Kept(said.step, None, "its line was read late, and the program may have gone on"))
            else:
                self._keep(said.step)

    def _hear_error(self, line: bytes, empty_s: float) -> None:
        text = for_log(line)
        if text:
            self._tell(Text(text))

    def _keep(self, step: object) -> None:
        assert self._checkpoints is not None
        try:
            content = packed(self._checkpoints)
        except UnfitError as error:
            self._tell(Kept(step, None, str(error), unfit=True))
        except (ChangedError, OSError) as error:
            self._unkept = step
            self._tell(Kept(step, None, str(error)))
        else:
            self._unkept = None
            self._tell(Kept(step, content))
