"""A sweep and the processes of its runs, for faults to be injected into.

Every process of a scene carries a mark in its environment that all its children inherit, Ray's daemons and workers
included. Nothing without the mark is ever signalled, since other people's Ray may run on the machine.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.journal_lines import read_lines
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results, RunPaths
from sweeper.sweepfile.sweep import load
from tests.chaos.ending import Ending, assert_ended_as, assert_shown_once
from tests.chaos.program import HASTY, PLAIN, STEPS, environment, write_sweep
from tests.chaos.server import Server
from tests.forks import Forked, fork
from tests.marked import marked
from tests.waiting import HANG_S, wait_until

MOST_RUNS = 5
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Helpers of a raylet; when it was killed they go by themselves, about a minute later."""
MARK = "SWEEPER_CHAOS_SCENE"


class Scene:
    """One sweep in a folder of its own, run again and again until it is through."""

    def __init__(
        self, folder: Path, server: Server | None, name: str, seeds: int, *, ray: bool = True, workers: int = 2
    ) -> None:
        """Without a `server` the sweep has an sqlite store, and after the fault it is run again without Ray."""
        self.folder, self._server, self._name = folder, server, name
        self._ray, self._workers = ray, workers
        self._mark = uuid.uuid4().hex
        self._process: Forked | None = None
        self._runs = 0
        self.codes: list[int] = []
        """The exit codes of the runs so far."""
        self.options: list[str] = []
        self.forgiven: tuple[int, ...] = ()
        """Exit codes that a run may have, and be run again, where the fault doesn't say for sure."""
        self.injected_s = 0.0
        self.results = Results.at(folder / "results")
        self.uri = server.uri if server else f"sqlite:///{folder / 'mlflow.db'}"
        self.specs: tuple[TrialSpec, ...] = expand(load(write_sweep(folder, name, seeds)))

    def start(self) -> None:
        """Start `sweeper run` as the leader of a process group."""
        self._runs += 1
        words = ["run", "chaos.yaml", "--workers", str(self._workers), "--tracking-uri", self.uri, *self.options]
        words += [] if self._ray and (self._server or self._runs == 1) else ["--executor", "inline"]
        with self._log(self._runs).open("wb") as log:
            self._process = fork(
                HASTY,
                words,
                cwd=self.folder,
                env=environment() | {MARK: self._mark},
                stdout=log.fileno(),
                stderr=log.fileno(),
                start_new_session=True,
            )

    def finish(self) -> None:
        """Wait for the run under way, and start the same again until it exits with 0."""
        while True:
            if self._process is None:
                self.start()
            if self.wait() == 0:
                break
            assert self.codes[-1] in (-signal.SIGKILL, 4, *self.forgiven), self.said()
            assert "Traceback" not in self.said(), self.said()
            assert self._runs < MOST_RUNS, self.said()
        if "not yet in" in self.said() or "once the store answers, this sends the rest" in self.said():
            self._sync()

    def wait(self) -> int:
        """Wait for the run under way to exit by itself and return its code."""
        self.codes.append(self._process.wait(HANG_S))
        self._process = None
        return self.codes[-1]

    def said(self) -> str:
        """Return what the last run wrote."""
        return self._log(self._runs).read_text()

    def _log(self, run: int) -> Path:
        return self.folder / f"run-{run}.log"

    def _sync(self) -> None:
        words = ["sync", "chaos.yaml", "--tracking-uri", self.uri]
        process = fork(PLAIN, words, cwd=self.folder, env=environment())
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, err

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    def processes(self) -> dict[int, str]:
        """Return every living process of this scene's runs, by id, with its command line."""
        found = marked(MARK, self._mark)
        if self._process is not None and self._process.poll() is None:  # a fork shows what it was forked with
            found[self._process.pid] = "the driver"
        return found

    def processes_of(self, program: str) -> list[int]:
        """Return the processes of this scene whose program has this name."""
        return [pid for pid, command in self.processes().items() if command.split(" ")[0].endswith(f"/{program}")]

    @property
    def driver(self) -> int:
        return self._process.pid

    def kill(self, pid: int, number: int = signal.SIGKILL, *, group: bool = False) -> None:
        """Signal a process of this scene, and no other, or the group it leads; note the time as the fault's."""
        assert pid in self.processes(), f"process {pid} is none of this scene's"
        self.injected_s = time.monotonic()
        (os.killpg if group else os.kill)(pid, number)

    def at_share(self, share: float) -> None:
        """Wait until the journals hold this share of all outer steps and somebody trains."""
        wanted = share * STEPS * len(self.specs)
        wait_until(lambda: self._alive() and sum(self._step(s.trial_id) for s in self.specs) >= wanted, "training")

    def begun(self, *, with_checkpoint: bool = False) -> list[str]:
        """Wait until trials are under way, with a checkpoint each if so asked, and return them in order."""

        def under_way() -> list[str]:
            open_ones = [s.trial_id for s in self.specs if 0 < self._step(s.trial_id) < STEPS]
            return [name for name in open_ones if not with_checkpoint or self.results.trial(name).checkpoints(STEPS)]

        return wait_until(lambda: self._alive() and under_way(), "a trial under way")

    def _alive(self) -> bool:
        assert self._process.poll() is None, self.said()
        return True

    def _step(self, trial_id: str) -> int:
        lines = read_lines(self.results.trial(trial_id).journal)
        return max((line["step"] for line in lines if line["kind"] != "attempt"), default=0)

    def attempts(self, trial_id: str) -> int:
        return sum(line["kind"] == "attempt" for line in read_lines(self.results.trial(trial_id).journal))

    def worker_of(self, trial_id: str) -> int:
        """Return the process that writes the log of a trial's last attempt."""
        log = self.results.trial(trial_id).log(self.attempts(trial_id))
        return int(re.findall(r"begun by process (\d+)", log.read_text())[-1])

    def assert_nothing_runs(self) -> None:
        """No process that could train or write lives on, and no lock is held."""
        wait_until(lambda: not self._without_agents(), lambda: f"the end of {self._without_agents()}")
        locks = [self.results.trial(spec.trial_id) for spec in self.specs]
        locks += [RunPaths(path.parent, path.stem) for path in self.results.runs.glob("*.lock")]
        assert [holder_of(paths) for paths in locks] == [None] * len(locks)

    def _without_agents(self) -> dict[int, str]:
        return {pid: command for pid, command in self.processes().items() if not command.startswith(AGENTS)}

    def assert_ended_as(self, undisturbed: Ending, scratch: Path) -> None:
        """Exactly the planned trials are done, with the undisturbed bits, and the server shows each once and whole."""
        planned = {spec.trial_id for spec in self.specs}
        assert_ended_as(undisturbed, self.results, planned)
        assert_shown_once(self.uri, self._name, self.results, planned, scratch)

    def clear(self) -> None:
        """Kill what a failed round has left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(HANG_S)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def small_disk(folder: Path, size_mib: int) -> Iterator[None]:
    """Mount an empty file system of `size_mib` on `folder`. Raises OSError where that isn't allowed."""
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except subprocess.CalledProcessError as error:
        raise OSError(f"mount -t tmpfs: {error.stderr.decode().strip()}") from None
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
