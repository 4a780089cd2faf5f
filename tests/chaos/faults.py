"""The faults: each starts a run, waits for a moment drawn from `random`, breaks something, and says when.

What a fault leaves running is waited for, and what it ended is run again, by `Scene.finish`.
"""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.chaos.scene import Scene
from tests.waiting import wait_until

SILENT_S = 20
"""The timeout of runs with a frozen worker; long enough for a worker to load torch on a busy machine."""


class Fault(NamedTuple):
    """What is broken, how, and the exit codes of the runs that it takes; `small_disk` asks for one.

    `ray` says whether the runs train by Ray; what breaks none of its processes takes less without it.
    """

    inject: Callable[[Scene, random.Random], str]
    codes: tuple[int, ...]
    small_disk: bool = False
    ray: bool = True


def worker_killed(scene: Scene, draw: random.Random) -> str:
    moment = _midway(scene, draw)
    scene.kill(scene.worker_of(draw.choice(scene.begun())))
    return moment


def worker_and_raylet_killed(scene: Scene, draw: random.Random) -> str:
    """The raylet goes when the trial of the killed worker has been dealt again."""
    moment = _midway(scene, draw, most=0.4)
    victim = draw.choice(scene.begun())
    before = scene.attempts(victim)
    scene.kill(scene.worker_of(victim))
    wait_until(lambda: scene.attempts(victim) > before, "the trial to be dealt again")
    (daemon,) = scene.processes_of("raylet")
    scene.kill(daemon)
    return f"{moment}, and when its trial was dealt again"


def driver_killed(scene: Scene, draw: random.Random) -> str:
    moment = _any_time(scene, draw)
    scene.kill(scene.driver)
    return moment


def group_killed(scene: Scene, draw: random.Random) -> str:
    moment = _any_time(scene, draw)
    scene.kill(scene.driver, group=True)
    return moment


def raylet_killed(scene: Scene, draw: random.Random) -> str:
    return _daemon_killed(scene, draw, "raylet")


def gcs_killed(scene: Scene, draw: random.Random) -> str:
    return _daemon_killed(scene, draw, "gcs_server")


def server_killed(scene: Scene, draw: random.Random) -> str:
    """It comes back some seconds later, while the run lives or after its end."""
    moment = _any_time(scene, draw)
    scene.injected_s = time.monotonic()
    scene.server.kill()
    away_s = draw.uniform(0, 8)
    time.sleep(away_s)
    scene.server.start()
    return f"{moment}, for {away_s:.1f} s and its start"


def worker_frozen(scene: Scene, draw: random.Random) -> str:
    """It is suspended until its trial was taken from it, then it goes on where it was."""
    scene.options = ["--timeout", str(SILENT_S)]
    moment = _midway(scene, draw, most=0.5)
    frozen = draw.choice(scene.begun())
    worker = scene.worker_of(frozen)
    scene.kill(worker, signal.SIGSTOP)
    before = scene.attempts(frozen)
    wait_until(lambda: _interrupted(scene, frozen) or scene.attempts(frozen) > before, "the silence to be noticed")
    return f"{moment}, {_woken_late(scene, draw, worker)} after it was given up"


def worker_outlives_its_driver(scene: Scene, draw: random.Random) -> str:
    """It is suspended as its driver is killed, and wakes when another run has dealt its trial again."""
    moment = _midway(scene, draw)
    frozen = draw.choice(scene.begun())
    worker, before = scene.worker_of(frozen), scene.attempts(frozen)
    scene.kill(worker, signal.SIGSTOP)
    scene.kill(scene.driver)
    scene.wait()
    scene.start()
    wait_until(lambda: scene.attempts(frozen) > before, "the trial to be dealt again")
    return f"{moment}, {_woken_late(scene, draw, worker)} after its trial was dealt again"


def _woken_late(scene: Scene, draw: random.Random, worker: int) -> str:
    """Let a suspended worker go on after up to 4 s, if it is still there; return what became of it."""
    late_s = draw.uniform(0, 4)
    time.sleep(late_s)
    gone = worker not in scene.processes()
    if not gone:
        scene.kill(worker, signal.SIGCONT)
    return f"{'gone' if gone else 'woken'} {late_s:.1f} s"


def journal_torn(scene: Scene, draw: random.Random) -> str:
    """The driver is killed within a write: half a line is left at the end."""
    moment, torn = _killed_with_a_checkpoint(scene, draw)
    journal = scene.results.trial(torn).journal
    line = journal.read_bytes().splitlines()[-1]
    with journal.open("ab") as file:
        file.write(line[: draw.randrange(1, len(line))])
    return moment


def journal_lost(scene: Scene, draw: random.Random) -> str:
    """All that is left of a trial are its attempts' folders, checkpoints among them."""
    moment, bare = _killed_with_a_checkpoint(scene, draw)
    paths = scene.results.trial(bare)
    paths.journal.unlink()
    paths.lock.unlink()
    return moment


def checkpoint_damaged(scene: Scene, draw: random.Random) -> str:
    """Bytes of the last checkpoint, or of every one, are not what was written."""
    moment, victim = _killed_with_a_checkpoint(scene, draw)
    checkpoints = scene.results.trial(victim).checkpoints(10**6)
    damaged = checkpoints[: draw.choice((1, len(checkpoints)))]
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
    return f"{moment}, {len(damaged)} of {len(checkpoints)} checkpoints"


def disk_full(scene: Scene, draw: random.Random) -> str:
    """Another's file takes all the space; the run says so and ends, and goes on once there is space again."""
    moment = _any_time(scene, draw)
    scene.injected_s = time.monotonic()
    _fill(scene.results.root / "ballast")
    scene.wait()
    assert "free space there or fix its permissions" in scene.said(), scene.said()
    (scene.results.root / "ballast").unlink()
    return moment


BOTH = "kill -9 of a worker, then of the raylet"
FAULTS = {
    "kill -9 of a worker": Fault(worker_killed, (0,)),
    "kill -9 of the driver": Fault(driver_killed, (-9, 0)),
    "kill -9 of the driver's process group": Fault(group_killed, (-9, 0)),
    "kill -9 of the raylet": Fault(raylet_killed, (0,)),
    BOTH: Fault(worker_and_raylet_killed, (0,)),
    "kill -9 of the GCS server": Fault(gcs_killed, (0,)),
    "kill -9 and restart of the MLflow server": Fault(server_killed, (0,), ray=False),
    "SIGSTOP and late SIGCONT of a worker": Fault(worker_frozen, (0,)),
    "SIGSTOP of a worker that outlives its driver": Fault(worker_outlives_its_driver, (-9, 0)),
    "torn journal line": Fault(journal_torn, (-9, 0), ray=False),
    "checkpoints without a journal": Fault(journal_lost, (-9, 0), ray=False),
    "damaged checkpoint": Fault(checkpoint_damaged, (-9, 0), ray=False),
    "full disk": Fault(disk_full, (4, 0), small_disk=True, ray=False),
}


def _any_time(scene: Scene, draw: random.Random) -> str:
    """Start a run and wait for a moment of its life, its start included."""
    if draw.random() < 0.75:
        return _midway(scene, draw)
    scene.start()
    after_s = draw.uniform(0.3, 6)
    time.sleep(after_s)
    return f"{after_s:.1f} s after the start"


def _midway(scene: Scene, draw: random.Random, most: float = 0.85) -> str:
    """Start a run and wait for a moment of its training."""
    scene.start()
    share = draw.uniform(0, most)
    scene.at_share(share)
    time.sleep(draw.uniform(0, 0.3))
    return f"at {share:.0%} of all steps"


def _daemon_killed(scene: Scene, draw: random.Random, program: str) -> str:
    """Kill one of Ray's own processes while something trains, or while Ray starts.

    A process that is just connecting to the victim is ended by Ray's own library, with code 1.
    """
    if draw.random() < 0.75:
        moment = _midway(scene, draw)
    else:
        scene.start()
        wait_until(lambda: len(scene.processes_of("raylet")) == 1, "the raylet")
        after_s = draw.uniform(1, 6)
        time.sleep(after_s)
        moment = f"{after_s:.1f} s after its start"
        scene.forgiven = (1, 4)
    (daemon,) = scene.processes_of(program)
    scene.kill(daemon)
    return moment


def _killed_with_a_checkpoint(scene: Scene, draw: random.Random) -> tuple[str, str]:
    """Kill the driver midway and return when, and a trial it had under way with checkpoints."""
    moment = _midway(scene, draw)
    chosen = draw.choice(scene.begun(with_checkpoint=True))
    worker = scene.worker_of(chosen)
    scene.kill(scene.driver)
    scene.wait()
    wait_until(lambda: worker not in scene.processes(), "the worker to notice")
    return moment, chosen


def _interrupted(scene: Scene, trial_id: str) -> bool:
    return '"interrupted"' in scene.results.trial(trial_id).journal.read_text()


def _fill(path: Path) -> None:
    """Take what space there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(min(2**16, max(shutil.disk_usage(path).free, 4096))))
        except OSError:
            return
