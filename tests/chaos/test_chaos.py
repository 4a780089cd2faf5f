"""Whatever breaks, at whatever moment: the same command ends the sweep with the bits of an undisturbed one.

The short version is part of the suite. The long one, `make chaos`, takes its rounds, its seed and the file for its
table from SWEEPER_CHAOS_ROUNDS, SWEEPER_CHAOS_SEED and SWEEPER_CHAOS_TABLE.
"""

import os
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.budget import budget
from tests.chaos.ending import Ending, lost_and_doubled, undisturbed_ending
from tests.chaos.faults import BOTH, FAULTS, Fault
from tests.chaos.local import Local, Undisturbed, undisturbed_local
from tests.chaos.scene import Scene, small_disk
from tests.chaos.server import Server
from tests.chaos.surroundings import STRAINS
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ORPHAN = "SIGSTOP of a worker that outlives its driver"
SHORT = budget(
    (BOTH, ORPHAN, "journals from a backup", "locks that exclude nobody", "edited store"),
    ("kill -9 of a worker", "kill -9 of the raylet", "kill -9 of the driver's process group", ORPHAN, *STRAINS),
)
"""A short round of each of Ray's daemons, workers and drivers, and of what surrounds them."""
ROUNDS = int(os.environ.get("SWEEPER_CHAOS_ROUNDS", "0"))
SEED = int(os.environ.get("SWEEPER_CHAOS_SEED", "1"))
TABLE = os.environ.get("SWEEPER_CHAOS_TABLE")
SEEDS = 2 if ROUNDS else 1
DISK_MIB = 16
THOROUGH = bool(ROUNDS) or budget(False, True)
"""A round has an MLflow server, and two workers of Ray instead of one."""
STRAINS_A_FAULT = 6
"""How many rounds of each strain there are for one of each fault: a round without Ray takes seconds."""


class Round(NamedTuple):
    """One row of the table: what was broken, when, and what it led to."""

    number: int
    kind: str
    moment: str
    codes: Sequence[int]
    seconds: str
    lost: int | str
    doubled: int | str
    verdict: str


def chosen() -> list[tuple[int, str]]:
    """Return the kinds of the rounds, numbered, in an order that the seed decides."""
    kinds = list(SHORT)
    if ROUNDS:
        draw, deck = random.Random(SEED), [*FAULTS, *STRAINS_A_FAULT * tuple(STRAINS)]
        kinds = [kind for _ in range(-(-ROUNDS // len(deck))) for kind in draw.sample(deck, len(deck))][:ROUNDS]
    return list(enumerate(kinds, start=1))


def of(kinds: Collection[str]) -> list[tuple[int, str]]:
    return [(number, kind) for number, kind in chosen() if kind in kinds]


def table(rounds: Sequence[Round]) -> str:
    """Return how many rounds there were of each kind and what they lost and doubled, then each round."""
    lines = ["| fault | rounds | records lost | records doubled | not the same bits |", "|---|---:|---:|---:|---:|"]
    for kind in dict.fromkeys(found.kind for found in rounds):
        rows = [found for found in rounds if found.kind == kind]
        lost, doubled = sum(int(row.lost or 0) for row in rows), sum(int(row.doubled or 0) for row in rows)
        lines.append(f"| {kind} | {len(rows)} | {lost} | {doubled} | {sum(row.verdict == 'FAILED' for row in rows)} |")
    lines += ["", "| # | fault | moment | exit codes | seconds | lost | doubled | verdict |", "|" + 8 * "---|"]
    lines += [
        f"| {row.number} | {row.kind} | {row.moment} | {', '.join(map(str, row.codes))} | "
        f"{' | '.join(map(str, row[4:]))} |"
        for row in rounds
    ]
    return f"Seed {SEED}.\n\n" + "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server | None]:
    if not THOROUGH:
        yield None
        return
    found = Server(tmp_path_factory.mktemp("server"))
    try:
        found.start()
        yield found
    finally:
        found.kill()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Ending:
    return undisturbed_ending(tmp_path_factory, SEEDS)


@pytest.fixture(scope="module")
def undisturbed_small(tmp_path_factory) -> Undisturbed:
    return undisturbed_local(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def note() -> Iterator[Callable[[Round], None]]:
    """Return what takes a row of the table: printed at the end, and written down at once where a file is named."""
    rounds: list[Round] = []

    def take(row: Round) -> None:
        rounds.append(row)
        if TABLE:
            Path(TABLE).write_text(table(rounds))

    yield take
    print(f"\n{table(rounds)}")


@pytest.fixture(scope="module")
def through() -> Iterator[list[Scene]]:
    """Collect the scenes that ended well; whatever they may have left is ended at last."""
    scenes: list[Scene] = []
    yield scenes
    for scene in scenes:
        scene.clear()


@pytest.mark.parametrize(("number", "name"), of(FAULTS))
def test_a_sweep_survives(number, name, server, undisturbed, note, through, tmp_path):
    fault, draw = FAULTS[name], random.Random(f"{SEED} {number}")
    scene = Scene(tmp_path, server, f"chaos-{number}", SEEDS, ray=fault.ray, workers=1 + THOROUGH)
    moment, seconds, verdict, counts = "not reached", "", "FAILED", ("", "")
    try:
        with disk_for(fault, scene):
            moment = fault.inject(scene, draw)
            scene.finish()
            seconds = f"{time.monotonic() - scene.injected_s:.0f}"
            scene.assert_nothing_runs()
            counts = lost_and_doubled(undisturbed, scene.results)
            scene.assert_ended_as(undisturbed, tmp_path)
        assert tuple(code for code in scene.codes if code not in scene.forgiven) == fault.codes
        verdict = "same bits"
        through.append(scene)
    except pytest.skip.Exception as skipped:
        verdict = f"skipped: {skipped}"
        raise
    finally:
        note(Round(number, name, moment, scene.codes, seconds, *counts, verdict))
        if scene not in through:
            scene.clear()


@pytest.mark.parametrize(("number", "name"), of(STRAINS))
def test_a_sweep_survives_what_surrounds_it(number, name, undisturbed_small, note, tmp_path):
    scene, began_s = Local(tmp_path, undisturbed_small.operations), time.monotonic()
    moment, verdict, counts = "not reached", "FAILED", ("", "")
    try:
        moment = STRAINS[name](scene, random.Random(f"{SEED} {number}"))
        scene.finish()
        counts = lost_and_doubled(undisturbed_small.ending, scene.results)
        scene.assert_ended_as(undisturbed_small)
        verdict = "same bits"
    finally:
        note(Round(number, name, moment, scene.codes, f"{time.monotonic() - began_s:.0f}", *counts, verdict))


def test_nothing_outlives_the_runs(through):
    wait_until(lambda: not any(scene.processes() for scene in through), "every process to end", every_s=1)


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
