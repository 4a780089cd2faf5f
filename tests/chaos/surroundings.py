"""Faults of what surrounds a run: its clock, its locks, its storage, its folder, and people who edit its store.

Each leaves a sweep in some state between nothing and done, and returns in words when and what. `Local.finish` goes on.
"""

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from analysis.contract.record import TAG_KIND
from tests.chaos.local import NAME, Local
from tests.waiting import wait_until

KILLED = -9
JUMPS_S = (-400 * 86_400, -2 * 86_400, -3600, -5, -1, 1, 5, 3600, 2 * 86_400, 400 * 86_400)
ERRORS = ("ESTALE", "EIO", "EFBIG", "ENOSPC", "EDQUOT", "EROFS", "EINTR")
WRITTEN = ("/journal.jsonl", ".ckpt")
Strain = Callable[[Local, random.Random], str]


def killed(scene: Local, draw: random.Random) -> str:
    """The run is killed within a write, a sync or a rename of a journal or a checkpoint; half of a write is left."""
    return _part(scene, draw, always=True)


def clock(scene: Local, draw: random.Random) -> str:
    """The clock is ahead or behind, and jumps while the run lives; its second part and the syncs have other clocks."""
    said = []
    for _ in range(draw.choice((1, 2))):
        jumps = [(0, draw.choice(JUMPS_S)), (draw.randrange(scene.operations), draw.choice(JUMPS_S))]
        said.append(f"{_part(scene, draw, clock=jumps)} by {jumps[0][1]:+d} s, then {jumps[1][1]:+d} s")
        if draw.random() < 0.5:
            scene.sync(clock=[(0, draw.choice(JUMPS_S))])
    return "; ".join(said)


def no_locks(scene: Local, draw: random.Random) -> str:
    """A run refuses locks that exclude nobody. Locks that don't reach other machines let two runs train at once."""
    begun = _part(scene, draw, often=0.3)
    before = [path.read_bytes() for path in scene.journals()]
    scene.codes.append(scene.ended(scene.start(locks="nobody"), 0, 4))
    if scene.codes[-1] == 4:
        assert "can be locked twice" in scene.said, scene.said
    assert [path.read_bytes() for path in scene.journals()] == before
    return f"{begun}, then {_two_runs(scene, draw, lambda: None, locks='strangers')}"


def lock_files_deleted(scene: Local, draw: random.Random) -> str:
    """Another run begins when the lock files were deleted under a living one."""

    def delete() -> None:
        for path in (*scene.results.root.glob("trials/*/lock"), *scene.results.root.glob("*/*.lock")):
            path.unlink(missing_ok=True)

    return _two_runs(scene, draw, delete)


def _two_runs(scene: Local, draw: random.Random, between: Callable[[], None], **broken: object) -> str:
    attempts = scene.attempts()
    first = scene.start(**broken)
    wait_until(lambda: first.poll() is not None or scene.attempts() > attempts, "the first run to train")
    between()
    dies = {"dies_at": draw.randrange(1, scene.operations)} if draw.random() < 0.3 else {}
    second = scene.start(**broken, **dies)
    codes = [scene.ended(process, 0, 2, 3, KILLED) for process in (first, second)]
    scene.codes += codes
    return f"two runs at once{', the second killed' if KILLED in codes else ''}"


def storage(scene: Local, draw: random.Random) -> str:
    """The disk refuses an operation, or all from some moment on; the run ends with exit code 4 and says which file."""
    if draw.random() < 0.2:
        largest = draw.randrange(100, 60_000)
        scene.run(0, 4, largest_file=largest)
        return f"files of at most {largest} bytes"
    error, kind = draw.choice(ERRORS), draw.choice(WRITTEN)
    first = draw.randrange(1, scene.operations)
    last = draw.choice((first, first + draw.randrange(1, 60), 10**9))
    code = scene.run(0, 4, fails_at=(first, last), error=error, of=kind)
    if code == 4:
        assert str(scene.results.root) in scene.said or "journal" in scene.said, scene.said
    times = "once" if last == first else "to the end" if last == 10**9 else f"{last - first + 1} times"
    return f"{error} for {kind}, at operation {first}, {times}"


def journal_cut(scene: Local, draw: random.Random) -> str:
    """Journals come from a backup: their last lines are gone, and the store and the checkpoints are newer."""
    moment = _part(scene, draw, often=0.6)
    scene.sync(0, 4)
    said = []
    journals = scene.journals()
    for path in draw.sample(journals, draw.randint(1, len(journals)) if journals else 0):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = draw.randrange(len(lines) + 1) if lines else 0
        path.write_bytes(b"".join(lines[:kept]))
        said.append(f"{kept} of {len(lines)} lines left")
        if draw.random() < 0.3:
            for checkpoint in scene.results.trial(path.parent.name).checkpoints(10**6):
                checkpoint.unlink()
            said[-1] += ", no checkpoint"
    if draw.random() < 0.3:
        scene.sync(0, 4)
    return f"{moment}; {', '.join(said) or 'nothing there'}"


def bit_flipped(scene: Local, draw: random.Random) -> str:
    """A bit of a journal is not what was written, so that a line can't be read; `run --mend` goes on."""
    moment = _part(scene, draw, often=0.6)
    journals = [path for path in scene.journals() if path.stat().st_size]
    if not journals:
        return f"{moment}; no journal"
    path = draw.choice(journals)
    lines = path.read_bytes().splitlines()
    number = draw.randrange(len(lines))
    lines[number] = _unreadable(lines[number], draw)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    scene.codes.append(scene.ended(scene.start(), 3))
    assert "--mend" in scene.said and str(path) in scene.said, scene.said
    scene.codes.append(scene.ended(scene.start("run", "--mend", path.parent.name), 0))
    return f"{moment}; in line {number + 1} of {len(lines)}"


def _unreadable(line: bytes, draw: random.Random) -> bytes:
    """Return the line with one bit flipped, such that it is no JSON any more."""
    while True:
        flipped = bytearray(line)
        flipped[draw.randrange(len(line))] ^= 1 << draw.randrange(8)
        try:
            json.loads(flipped)
        except ValueError:
            if b"\n" not in flipped and b"\r" not in flipped:
                return bytes(flipped)


def folder_moved(scene: Local, draw: random.Random) -> str:
    """The folder is copied or moved, and the other place goes on; a copy leaves the original as it is."""
    moment = _part(scene, draw, often=0.8)
    if draw.random() < 0.5:
        scene.sync(0, 4)
    old, new = scene.results.root, scene.folder / f"elsewhere-{len(scene.codes)}"
    if not old.exists():
        return f"{moment}; nothing to move"
    scene.results = type(scene.results)(new)
    if draw.random() < 0.5:
        old.rename(new)
        return f"{moment}; moved"
    shutil.copytree(old, new)
    before = _content(old)
    _part(scene, draw)
    scene.sync(0, 4)
    assert _content(old) == before, "the original was changed"
    if draw.random() < 0.5:
        shutil.rmtree(old)
    return f"{moment}; copied"


def sync_killed(scene: Local, draw: random.Random) -> str:
    """A sync is killed as it writes a record into the store's artefacts, or between two of its writes."""
    said = []
    for _ in range(draw.choice((1, 2))):
        moment = _part(scene, draw, often=0.6)
        if draw.random() < 0.6:
            at = draw.randint(1, 8)
            scene.sync(0, 4, KILLED, dies_at=at, within="/artifacts/")
            said.append(f"{moment}; at operation {at} of a sync")
        else:
            process, after_s = scene.start("sync"), draw.uniform(0.2, 2)
            time.sleep(after_s)
            process.kill()
            scene.ended(process, 0, 4, KILLED)
            said.append(f"{moment}; {after_s:.1f} s after a sync began")
    return "; ".join(said)


def store_edited(scene: Local, draw: random.Random) -> str:
    """A person changes the store between two runs: tags, names, states, metrics, the trash."""
    moment = _part(scene, draw, often=0.6)
    scene.sync(0, 4)
    if not scene.store.exists():
        return f"{moment}; no store"
    edits = draw.sample(list(EDITS), draw.randint(1, 3))
    if RENAMED in edits:  # without its tags, nobody knows a renamed experiment, and the sweep gets a new one
        edits = [name for name in edits if name not in UNTAGGED]
    runs = scene.shown_runs("trial") or [""]
    for name in edits:
        scene.edit_store(*(command.replace("$RUN", draw.choice(runs)) for command in EDITS[name]))
    if draw.random() < 0.5:
        _part(scene, draw)
    scene.sync(0, 4)
    scene.edit_store(
        "UPDATE experiments SET lifecycle_stage = 'active'",
        "UPDATE runs SET lifecycle_stage = 'active' WHERE run_uuid NOT IN "
        f"(SELECT run_uuid FROM tags WHERE key = '{TAG_KIND}' AND value IN ('duplicate', 'superseded'))",
    )
    return f"{moment}; {', '.join(edits)}"


RENAMED = "the experiment renamed"
UNTAGGED = ("all tags removed", "our tags removed everywhere")
EDITS = {
    "a tag removed": ("DELETE FROM tags WHERE key = 'trial_id' AND run_uuid = '$RUN'",),
    "all tags removed": ("DELETE FROM tags WHERE run_uuid = '$RUN'",),
    "our tags removed everywhere": ("DELETE FROM tags WHERE key LIKE 'sweeper.%'",),
    "a tag changed": ("UPDATE tags SET value = 'x' WHERE key IN ('sweeper.kind', 'status') AND run_uuid = '$RUN'",),
    "a run renamed": (
        "UPDATE runs SET name = 'the good one' WHERE run_uuid = '$RUN'",
        "UPDATE tags SET value = 'the good one' WHERE key = 'mlflow.runName' AND run_uuid = '$RUN'",
    ),
    RENAMED: (f"UPDATE experiments SET name = 'for the paper' WHERE name LIKE '{NAME}%'",),
    "a run in the trash": ("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '$RUN'",),
    "all runs in the trash": ("UPDATE runs SET lifecycle_stage = 'deleted'",),
    "the experiment in the trash": ("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id <> 0",),
    "a metric deleted": (
        "DELETE FROM latest_metrics WHERE key LIKE 'test%' AND run_uuid = '$RUN'",
        "DELETE FROM metrics WHERE key LIKE 'test%' AND run_uuid = '$RUN'",
    ),
    "a metric deleted in part": ("DELETE FROM metrics WHERE step > 10 AND run_uuid = '$RUN'",),
    "the latest values deleted": ("DELETE FROM latest_metrics",),
    "parameters deleted": ("DELETE FROM params WHERE run_uuid = '$RUN'",),
    "a state changed": ("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = '$RUN'",),
}


def several(scene: Local, draw: random.Random) -> str:
    """Three of the others, one after another, without a run that ends well between them."""
    chosen = draw.sample([strain for strain in STRAINS.values() if strain is not several], 3)
    return " / ".join(f"{strain.__name__}: {strain(scene, draw)}" for strain in chosen)


STRAINS: dict[str, Strain] = {
    "kill -9 within a write": killed,
    "clock ahead, behind and jumping": clock,
    "locks that exclude nobody": no_locks,
    "lock files deleted under a run": lock_files_deleted,
    "storage errors": storage,
    "journals from a backup": journal_cut,
    "flipped bit in a journal": bit_flipped,
    "copied and moved folder": folder_moved,
    "kill -9 of a sync": sync_killed,
    "edited store": store_edited,
    "several of these": several,
}


def _part(scene: Local, draw: random.Random, *, often: float = 0.7, always: bool = False, **broken: object) -> str:
    """Run until the run is killed at some operation, or, if not `always`, sometimes to its end; say which."""
    every = draw.choice((0, 15, 60, 10**6))
    if not always and draw.random() > often:
        scene.run(0, 3, checkpoint_every=every, **broken)
        return "after its end"
    at = draw.randrange(1, scene.operations)
    scene.run(0, 3, KILLED, dies_at=at, checkpoint_every=every, **broken)
    return f"killed at operation {at}" if scene.codes[-1] == KILLED else "after its end"


def _content(folder: Path) -> dict[str, str]:
    """Return the digest of each file below `folder`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
