"""Random rounds on a real Slurm: whatever ends a slot or a daemon, the same command ends the sweep with the same bits.

They take half an hour, so they run with SWEEPER_LONG alone. SWEEPER_SLURM_ROUNDS, SWEEPER_SLURM_SEED and
SWEEPER_SLURM_TABLE give their number, their seed and the file of their table, SWEEPER_SLURM_FAULTS the beginnings of
their faults. With SWEEPER_SLURM_PRELOAD, both nodes load that library, such as one whose flock grants every lock to
everyone.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.budget import LONG
from tests.chaos.ending import Ending
from tests.chaos.program import Size
from tests.slurm.cluster import Cluster, why_not
from tests.slurm.lab import Lab, undisturbed
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.skipif(not LONG, reason="only with SWEEPER_LONG")]

ROUNDS = int(os.environ.get("SWEEPER_SLURM_ROUNDS", "30"))
SEED = int(os.environ.get("SWEEPER_SLURM_SEED", "1"))
ONLY = os.environ.get("SWEEPER_SLURM_FAULTS", "")
TABLE = os.environ.get("SWEEPER_SLURM_TABLE")
PRELOAD = os.environ.get("SWEEPER_SLURM_PRELOAD", "")
SIZE = Size(200, 100, 100, 3)
LASTING = dict.fromkeys(("preemption by a job in `high`", "time limit"), Size(9000, 1, 1, 1))
"""Faults that Slurm takes its time for: a program that mostly sleeps trains so many steps of 4 ms."""


class Row(NamedTuple):
    number: int
    fault: str
    moment: str
    runs: int
    attempts: int
    seconds: float
    lost: int
    doubled: int


def scancel(lab: Lab, draw: random.Random) -> None:
    lab.cluster.run("scancel", *draw.sample(lab.cluster.jobs("RUNNING"), 1), check=False)


def scancel_all(lab: Lab, draw: random.Random) -> None:
    lab.cluster.run("scancel", "--user=root", check=False)


def preemption(lab: Lab, draw: random.Random) -> None:
    count = draw.choice((0, 1))
    words = ["--parsable", "--partition=high", f"--array=0-{count}", "--output=/dev/null", "--wrap=sleep 1"]
    lab.cluster.run("sbatch", *words)
    wait_until(lambda: "DUE TO PREEMPTION" in lab.story(), "the preemption")


def time_limit(lab: Lab, draw: random.Random) -> None:
    """Nothing to do: the jobs have a limit of a minute, and two trials take more."""
    wait_until(lambda: "is queued again: the time limit is near" in lab.story(), "the time limit")


def requeue(lab: Lab, draw: random.Random) -> None:
    for job in draw.sample(lab.cluster.jobs("RUNNING"), 1):
        lab.cluster.run("scontrol", "requeue", job, check=False)


def slot_killed(lab: Lab, draw: random.Random) -> None:
    lab.kill_a_slot()


def node_killed(lab: Lab, draw: random.Random) -> None:
    """slurmd and the slots of its node end at once, as if the node had; it comes back after Slurm has noticed."""
    node = draw.choice("ab")
    lab.cluster.kill(f"slurmd-{node}")
    for pid in lab.slots():
        if f"SLURMD_NODENAME={node}".encode() in _environment(pid):
            os.kill(pid, signal.SIGKILL)
    time.sleep(draw.uniform(0, 14))
    lab.cluster.start_node(node, **_preload())


def daemon_killed(lab: Lab, draw: random.Random) -> None:
    """slurmd ends and comes back; its jobs live on."""
    node = draw.choice("ab")
    lab.cluster.kill(f"slurmd-{node}")
    time.sleep(draw.uniform(0, 3))
    lab.cluster.start_node(node, **_preload())


def controller_killed(lab: Lab, draw: random.Random) -> None:
    lab.cluster.kill("slurmctld")
    time.sleep(draw.uniform(0, 5))
    lab.cluster.start_controller()


def full_spool(lab: Lab, draw: random.Random) -> None:
    """The spool of a node has no room while a slot is queued again there; then Slurm drains the node."""
    node = draw.choice("ab")
    spool = lab.cluster.folder / f"spool-{node}"
    ballast = spool / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], capture_output=True, check=False)
    for job in lab.cluster.jobs("RUNNING"):
        lab.cluster.run("scontrol", "requeue", job, check=False)
    until_s = time.monotonic() + 6
    while time.monotonic() < until_s:
        lab.cluster.hurry()
        time.sleep(0.5)
    ballast.unlink()
    lab.cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
    for job in lab.cluster.jobs("PENDING"):
        lab.cluster.run("scontrol", "release", job, check=False)


def two_runs(lab: Lab, draw: random.Random) -> None:
    scancel_all(lab, draw)
    lab.until_idle()
    processes = [lab.start() for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


FAULTS: dict[str, Callable[[Lab, random.Random], None]] = {
    "scancel of one slot": scancel,
    "scancel of all": scancel_all,
    "preemption by a job in `high`": preemption,
    "time limit": time_limit,
    "scontrol requeue": requeue,
    "kill -9 of a slot": slot_killed,
    "a node dies": node_killed,
    "kill -9 of slurmd": daemon_killed,
    "kill -9 of slurmctld": controller_killed,
    "full spool": full_spool,
    "two runs at once": two_runs,
}


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _preload() -> dict[str, str]:
    return {"LD_PRELOAD": PRELOAD} if PRELOAD else {}


def _chosen() -> list[tuple[int, str]]:
    draw = random.Random(SEED)
    kinds: list[str] = []
    while len(kinds) < ROUNDS:
        chosen = [kind for kind in FAULTS if kind.startswith(tuple(ONLY.split(",")))]
        kinds += draw.sample(chosen, len(chosen))
    return list(enumerate(kinds[:ROUNDS], start=1))


@pytest.fixture(scope="module")
def broken_cluster(tmp_path_factory):
    """Return a Slurm whose spools are small disks of their own."""
    if reason := why_not():
        pytest.skip(reason)
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    spools = [found.folder / f"spool-{node}" for node in "ab"]
    try:
        for spool in spools:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "spool", str(spool)], check=True)
        found.start(**_preload())
        yield found
    finally:
        found.stop()
        for spool in spools:
            subprocess.run(["umount", str(spool)], check=False)


@pytest.fixture(scope="module")
def ending_of_an_inline_run(tmp_path_factory):
    """Return a function that runs the sweep of a fault inline, once for each, and returns its ending."""

    @cache
    def found(size: Size) -> Ending:
        return undisturbed(tmp_path_factory.mktemp("inline"), size, program=size in LASTING.values())

    return found


@pytest.fixture(scope="module")
def note():
    rows: list[Row] = []

    def take(row: Row) -> None:
        rows.append(row)
        if TABLE:
            Path(TABLE).write_text(_table(rows))

    yield take
    print(f"\n{_table(rows)}")


def _table(rows: list[Row]) -> str:
    lines = ["| # | fault | moment | runs | attempts | seconds | lost | doubled |", "|" + 8 * "---|"]
    for row in rows:
        cells = [str(round(cell) if isinstance(cell, float) else cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return f"Seed {SEED}{', with ' + Path(PRELOAD).name if PRELOAD else ''}.\n\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(("number", "kind"), _chosen())
def test_a_round(number, kind, broken_cluster, ending_of_an_inline_run, note, tmp_path):
    draw = random.Random(f"{SEED} {number} {kind}")
    size = LASTING.get(kind, SIZE)
    lab = Lab(tmp_path, broken_cluster, size=size, program=kind in LASTING, **_preload())
    begun_s = time.monotonic()
    try:
        done = lab.run(*(["--slurm", "time=1"] if kind == "time limit" else []))
        assert done.code == 0, done.err
        share = draw.uniform(0.02, 0.4 if kind in LASTING else 0.8)
        lab.until(share)
        FAULTS[kind](lab, draw)
        lab.finish()
        lost, doubled = lab.assert_ended_as(ending_of_an_inline_run(size))
        assert not lab.slots()
    finally:
        broken_cluster.run("scancel", "--user=root", check=False)
        for node in "ab":
            broken_cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        wait_until(lambda: not broken_cluster.jobs(), "an empty queue")
    attempts = len(list(lab.results.root.glob("trials/*/a*")))
    note(Row(number, kind, f"at {share:.0%}", len(lab.codes), attempts, time.monotonic() - begun_s, lost, doubled))
    shutil.rmtree(tmp_path)
