"""Whatever breaks, at whatever moment: the same command ends the sweep with the bits of an undisturbed one.

The short version is part of the suite. The long one, `make chaos`, takes its rounds, its seed and the file for its
table from SWEEPER_CHAOS_ROUNDS, SWEEPER_CHAOS_SEED and SWEEPER_CHAOS_TABLE.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.budget import budget
from tests.chaos.ending import Ending, undisturbed_ending
from tests.chaos.faults import BOTH, FAULTS, Fault
from tests.chaos.scene import Scene, small_disk
from tests.chaos.server import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

OF_A_DRIVER = ("kill -9 of the driver's process group", "SIGSTOP of a worker that outlives its driver")
SHORT = budget((BOTH, *OF_A_DRIVER), ("kill -9 of a worker", "kill -9 of the raylet", *OF_A_DRIVER))
ROUNDS = int(os.environ.get("SWEEPER_CHAOS_ROUNDS", "0"))
SEED = int(os.environ.get("SWEEPER_CHAOS_SEED", "1"))
TABLE = os.environ.get("SWEEPER_CHAOS_TABLE")
SEEDS = 2 if ROUNDS else 1
DISK_MIB = 16
HEAD = "| # | fault | moment | exit codes | seconds to recover | verdict |\n|---|---|---|---|---|---|\n"


def chosen() -> list[str]:
    """Return the faults of the rounds: each as often as any other, in an order that the seed decides."""
    if not ROUNDS:
        return list(SHORT)
    draw = random.Random(SEED)
    faults = [name for _ in range(-(-ROUNDS // len(FAULTS))) for name in draw.sample(list(FAULTS), len(FAULTS))]
    return faults[:ROUNDS]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("server"))
    try:
        found.start()
        yield found
    finally:
        found.kill()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Ending:
    return undisturbed_ending(tmp_path_factory.mktemp("undisturbed"), SEEDS)


@pytest.fixture(scope="module")
def note() -> Iterator[Callable[[str], None]]:
    """Return what takes a row of the table: printed at the end, and written down at once where a file is named."""
    head = f"Seed {SEED}.\n\n{HEAD}"
    rows: list[str] = []

    def take(row: str) -> None:
        rows.append(row)
        if TABLE:
            Path(TABLE).write_text(head + "".join(rows))

    yield take
    print(f"\n{head}{''.join(rows)}")


@pytest.fixture(scope="module")
def through() -> Iterator[list[Scene]]:
    """Collect the scenes that ended well; whatever they may have left is ended at last."""
    scenes: list[Scene] = []
    yield scenes
    for scene in scenes:
        scene.clear()


@pytest.mark.parametrize(("number", "name"), list(enumerate(chosen(), start=1)))
def test_a_sweep_survives(number, name, server, undisturbed, note, through, tmp_path):
    fault, draw = FAULTS[name], random.Random(f"{SEED} {number}")
    scene = Scene(tmp_path, server, f"chaos-{number}", SEEDS)
    moment, seconds, verdict = "not reached", "", "FAILED"
    try:
        with disk_for(fault, scene):
            moment = fault.inject(scene, draw)
            scene.finish()
            seconds = f"{time.monotonic() - scene.injected_s:.0f}"
            scene.assert_nothing_runs()
            scene.assert_ended_as(undisturbed, tmp_path)
        assert tuple(code for code in scene.codes if code not in scene.forgiven) == fault.codes
        verdict = "same bits"
        through.append(scene)
    except pytest.skip.Exception as skipped:
        verdict = f"skipped: {skipped}"
        raise
    finally:
        note(f"| {number} | {name} | {moment} | {', '.join(map(str, scene.codes))} | {seconds} | {verdict} |\n")
        if scene not in through:
            scene.clear()


def test_nothing_outlives_the_runs(through):
    wait_until(lambda: not any(scene.processes() for scene in through), "every process to end")


@contextmanager
def disk_for(fault: Fault, scene: Scene) -> Iterator[None]:
    """Give the results a small disk of their own if the fault wants one; skip where none can be mounted."""
    with ExitStack() as stack:
        if fault.small_disk:
            try:
                stack.enter_context(small_disk(scene.results.root, DISK_MIB))
            except OSError as error:
                pytest.skip(str(error))
        yield
