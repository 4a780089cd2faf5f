"""A sweep of four trials in a folder of its own, submitted to a real Slurm again and again until it is done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal_lines import JournalError, read_lines
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.chaos.ending import Ending, ending, lost_and_doubled
from tests.chaos.program import COMMAND_SWEEP, LARGE, WALK, Size, sweep_text
from tests.forks import Forked
from tests.places import ROOT
from tests.slurm.cluster import Cluster
from tests.sweeper.command import Ended, start, sweeper
from tests.waiting import HANG_S

HASTY = Path(__file__).with_name("hasty.py")
MOST_RUNS = 12
GO = "go"
_WAIT = f"    while 2 * step >= steps and not pathlib.Path({GO!r}).exists():\n        time.sleep(0.05)\n"
HELD = WALK.replace("while step < steps:\n", f"while step < steps:\n{_WAIT}")
"""A program that goes on from the middle of its trial only when there is the file GO, so no trial ends too early."""


class Lab:
    """One sweep and its results folder; `extra` is added to the environment of its commands and slots.

    If `program`, a program trains that mostly sleeps, so that a long sweep takes little of the machine. If `held`, its
    trials wait in their middle for `let_go`.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        *,
        size: Size = LARGE,
        seeds: int = 2,
        program: bool = False,
        held: bool = False,
        **extra: str,
    ) -> None:
        self.folder, self.cluster, self.size = folder, cluster, size
        self.results = Results.at(folder / "results")
        self.extra = extra
        self.codes: list[int] = []
        write(folder, size, seeds, program, held)
        self.specs = expand(load(folder / "slurm.yaml"))

    @property
    def own(self) -> dict[str, str]:
        """What the commands and the slots have in their environment besides the usual."""
        return {"PYTHONPATH": str(ROOT)} | self.cluster.environment | self.extra

    def run(self, *words: str, detach: bool = True) -> Ended:
        """Run `sweeper run --executor slurm` to its end."""
        process = self.start(*words, detach=detach)
        out, err = process.communicate(timeout=HANG_S)
        self.codes.append(process.returncode)
        return Ended(process.returncode, out, err)

    def start(self, *words: str, detach: bool = True) -> "Forked | subprocess.Popen[str]":
        here = ["--executor", "slurm", "--device", "cpu", "--tracking-uri", "none", "--workers", "2"]
        here += ["--slurm", f"partition=low,python={sys.executable} {HASTY}", *(["--detach"] if detach else [])]
        return self.sweeper("run", "slurm.yaml", *here, *words)

    def sweeper(self, *words: str) -> "Forked | subprocess.Popen[str]":
        return start(words, self.folder, **self.own)

    def told(self, *words: str) -> Ended:
        """Run another command of sweeper to its end."""
        process = self.sweeper(*words)
        out, err = process.communicate(timeout=HANG_S)
        return Ended(process.returncode, out, err)

    def steps(self) -> int:
        """Return how many steps all trials have in their journals together."""
        total = 0
        for path in (self.results.root / "trials").glob("*/journal.jsonl"):
            try:
                total += max((line.get("step", 0) for line in read_lines(path)), default=0)
            except JournalError:
                continue
        return total

    def until(self, share: float) -> None:
        """Wait until so much of all steps is journalled; jobs that were queued again begin at once."""
        deadline_s = time.monotonic() + HANG_S
        while self.steps() < share * len(self.specs) * self.size.steps:
            assert time.monotonic() < deadline_s, self.story()
            self.cluster.hurry()
            time.sleep(0.2)

    def let_go(self) -> None:
        """Let trials that wait in their middle go on."""
        (self.folder / GO).touch()

    def until_idle(self) -> None:
        """Wait until Slurm has no job of this sweep; jobs that were queued again begin at once."""
        deadline_s = time.monotonic() + HANG_S
        while self.cluster.jobs():
            assert time.monotonic() < deadline_s, self.story()
            self.cluster.hurry()
            time.sleep(0.3)

    def finish(self) -> None:
        """Run the same command again until every trial is done."""
        for _ in range(MOST_RUNS):
            self.until_idle()
            if self.done() == len(self.specs):
                return
            done = self.run()
            assert done.code == 0, done.err
        raise AssertionError(f"not done after {MOST_RUNS} runs:\n{self.story()}")

    def done(self) -> int:
        records = [fold(path) for path in (self.results.root / "trials").glob("*/journal.jsonl")]
        return sum(found is not None and found["status"] == "done" for found in records)

    def slots(self) -> dict[int, str]:
        """Return the living slots of this sweep, by process, with their command lines."""
        return dict(_processes(str(self.results.slurm)))

    def kill_a_slot(self) -> bool:
        """Kill one slot without a word; return whether there was one."""
        for pid in self.slots():
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def assert_ended_as(self, undisturbed: Ending) -> tuple[int, int]:
        """All is done once, with the undisturbed bits. Return the records that are lost and those that are doubled."""
        planned = {spec.trial_id for spec in self.specs}
        found = ending(self.results, self.size.steps)
        assert set(found.records) == planned, self.story()
        assert found == undisturbed, self.story()
        for name in planned:
            lines = list(read_lines(self.results.trial(name).journal))
            assert [line["kind"] for line in lines].count("done") == 1, (name, self.story())
        assert not (self.results.root / "index.db").exists() or self.codes
        return lost_and_doubled(undisturbed, self.results)

    def story(self) -> str:
        """Return the logs of all slots, for the message of a failed test."""
        files = sorted(self.results.slurm.glob("*/*.log"))
        return "\n".join(f"== {file}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


def write(folder: Path, size: Size, seeds: int, program: bool, held: bool = False) -> None:
    """Write the sweep, and the program that trains if one does; `held` is that of Lab."""
    if program:
        (folder / "walk.py").write_text(HELD if held else WALK)
    text = sweep_text("slurm", seeds, size, COMMAND_SWEEP) if program else sweep_text("slurm", seeds, size)
    (folder / "slurm.yaml").write_text(text)


def undisturbed(
    folder: Path, size: Size = LARGE, seeds: int = 2, *, program: bool = False, held: bool = False
) -> Ending:
    """Return what an inline run of the same sweep ends with."""
    write(folder, size, seeds, program, held)
    (folder / GO).touch()
    done = sweeper("run", "slurm.yaml", "--executor", "inline", "--device", "cpu", "--tracking-uri", "none", cwd=folder)
    assert done.code == 0, done.err
    return ending(Results.at(folder / "results"), size.steps)


def _processes(mark: str) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "python" in line and mark in line and "slot" in line:
            yield int(folder.name), line
