"""The paths of everything in a results folder. No other module builds such a path."""

import hashlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sweeper.errors import PathError, SweepError, of_os
from trainers.sealed_file import unseal, write_whole

CHECKPOINT_SUFFIX = ".ckpt"
JOURNAL = "journal.jsonl"
FURTHEST = 10**8 - 1
"""The last step that a checkpoint's file name can hold."""
CHECKPOINTS_KEPT = 2
"""Number of checkpoints that an attempt keeps."""
MOST_NAMED = 8
STORAGE_ADVICE = "free space there or fix its permissions or its mount, then run the same command again"


class ResultsError(SweepError):
    """The results folder can't be used: it is full, read-only, not a folder, or holds a damaged file."""

    exit_code = 4


@contextmanager
def storage_explained(path: Path) -> Iterator[None]:
    """Turn an OSError into an error for the user about the file that it names, or about `path`."""
    try:
        yield
    except OSError as error:
        told = of_os(error, path)
        raise told if isinstance(told, PathError) else ResultsError(str(told)) from None


@dataclass(frozen=True)
class TrialPaths:
    """The files of one trial. Attempt n writes under `attempt(n)` and nowhere else.

    A driver takes attempt n by making that folder, which fails where it exists, also on a file system whose locks
    don't work. When the folder of attempt n + 1 exists, attempt n writes no more.
    """

    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    def attempt(self, number: int) -> Path:
        return self.folder / f"a{number}"

    def last_attempt(self) -> int:
        """Return the highest number of an attempt that has a folder, 0 if there is none."""
        numbers = (path.name[1:] for path in self.folder.glob("a[0-9]*"))
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def passed(self, attempt: int) -> bool:
        """Return whether a later attempt has begun, so that `attempt` must write no more."""
        return self.attempt(attempt + 1).exists()

    def damaged(self, number: int) -> Path:
        """Return where the damaged journal is kept that the trial's mend `number` has replaced."""
        return self.folder / f"{JOURNAL}.damaged-{number}"

    def log(self, attempt: int) -> Path:
        return self.attempt(attempt) / "trial.log"

    def stop_mark(self, attempt: int) -> Path:
        """Return the file by which a driver asks a worker to save this trial and stop training it."""
        return self.attempt(attempt) / "stop"

    def owner(self, attempt: int) -> Path:
        """Return the file that names the slot of a Slurm job that has taken `attempt`; other attempts have none."""
        return self.attempt(attempt) / "slot.json"

    def checkpoint(self, attempt: int, step: int) -> Path:
        return self.attempt(attempt) / f"step-{step:08d}{CHECKPOINT_SUFFIX}"

    def checkpoints(self, furthest: int, attempt: int | None = None) -> list[Path]:
        """Return the checkpoints up to step `furthest`, of one attempt or all: last step first, then last attempt."""
        found = self.folder.glob(f"a{'*' if attempt is None else attempt}/step-*{CHECKPOINT_SUFFIX}")
        usable = [path for path in found if step_of(path) <= furthest]
        return sorted(usable, key=lambda path: (step_of(path), int(path.parent.name[1:])), reverse=True)


def until_free(numbered: Callable[[int], Path]) -> list[Path]:
    """Return the paths `numbered(1)`, `numbered(2)`, ... that exist, and then the first one that doesn't."""
    paths = [numbered(1)]
    while paths[-1].exists():
        paths.append(numbered(len(paths) + 1))
    return paths


class WholeCheckpoint(NamedTuple):
    """A checkpoint whose content has its digest: its path, the content, and the payload that the digest covers."""

    path: Path
    content: bytes
    payload: bytes


def whole_checkpoint(paths: TrialPaths, furthest: int, attempt: int | None = None) -> WholeCheckpoint | None:
    """Return the last whole checkpoint up to step `furthest`, of one attempt or all; None if there is none.

    Skips damaged ones, and those that a worker replaces meanwhile. Raises OSError.
    """
    for path in paths.checkpoints(furthest, attempt):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        payload = unseal(content)
        if payload is not None:
            return WholeCheckpoint(path, content, payload)
    return None


def step_of(checkpoint: Path) -> int:
    """Return the outer step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("step-").removesuffix(CHECKPOINT_SUFFIX))


@dataclass(frozen=True)
class RunPaths:
    """The files of one sweep's run: a lock, so that no second run starts, and the mark of what it has shown."""

    folder: Path
    experiment: str

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.experiment}.lock"

    @property
    def sweep(self) -> Path:
        """Return the copy of the sweep file as it stood when it last ran. The process that a run leaves reads it."""
        return self.folder / f"{self.experiment}.yaml"

    @property
    def shown(self) -> Path:
        """Return the file that remembers what a tracking store shows."""
        return self.folder / f"{self.experiment}.shown"


@dataclass(frozen=True)
class SearchPaths:
    """The files of one search: its journal, the lock of the run that searches, and the turns of slots of Slurm.

    Turn n is a folder that one process alone can make, as with attempts of a trial. The last one is kept.
    """

    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def turns(self) -> Path:
        return self.folder / "turns"

    def turn(self, number: int) -> Path:
        return self.turns / str(number)


@dataclass(frozen=True)
class Results:
    """One results folder; `root` is absolute."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "Results":
        try:
            return cls(path.expanduser().resolve())
        except RuntimeError as error:
            raise SweepError(f"{path}: {error}; give the full path of the results folder") from None

    def trial(self, trial_id: str) -> TrialPaths:
        return TrialPaths(self.root / "trials" / trial_id)

    def search(self, search_id: str) -> SearchPaths:
        return SearchPaths(self.root / "searches" / search_id)

    def superseded(self, trial_id: str, number: int) -> Path:
        return self.root / "superseded" / f"{trial_id}-{number}"

    def run(self, experiment: str) -> RunPaths:
        return RunPaths(self.runs, experiment)

    def push(self, experiment: str, position: str) -> RunPaths:
        """Return the lock file for one position in the push queue: `STORE.now` or `STORE.next`, STORE a hash."""
        return RunPaths(self.root / "pushes", f"{experiment}-{position}")

    def meeting(self, token: str) -> Path:
        """Return the folder where a driver and the nodes of a cluster check that they see the same files."""
        return self.root / "meetings" / token

    @property
    def sync_log(self) -> Path:
        """Return the log of the process that pushes to the tracking store after its run has ended."""
        return self.root / "sync.log"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def stops(self) -> Path:
        return self.root / "stop"

    def trial_named(self, beginning: str) -> str:
        """Return the one trial id that starts with `beginning`. Raises SweepError if none or several do."""
        folder = self.root / "trials"
        found = (
            sorted(path.name for path in folder.iterdir() if path.name.startswith(beginning)) if folder.is_dir() else []
        )
        if not found:
            raise SweepError(f"no trial that has begun in {self.root} has an id that starts with {beginning!r}")
        if len(found) > 1:
            more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            raise SweepError(f"{beginning!r} begins the ids {', '.join(found[:MOST_NAMED])}{more}; give more digits")
        return found[0]

    def trainer(self, name: str) -> Path:
        """Return the file that describes the trainer `name`, which may hold any printable characters."""
        plain = re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) is not None
        return self.trainers / f"{name if plain else hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    @property
    def trainers(self) -> Path:
        return self.root / "trainers"

    def dataset(self, name: str) -> Path:
        """Return the file that describes the added data set `name`."""
        return self.datasets / f"{name}.json"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def accepted_codes(self) -> Path:
        """Return the file with the codes of trainers that count as equal."""
        return self.root / "accepted_codes.json"

    @property
    def index(self) -> Path:
        return self.root / "index.db"

    @property
    def slurm(self) -> Path:
        """Return the folder of the submissions to Slurm, which are numbered."""
        return self.root / "slurm"

    @property
    def ray_log(self) -> Path:
        return self.root / "ray.log"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    def report(self, experiment: str) -> Path:
        return self.root / "reports" / experiment

    def digests(self) -> dict[str, str]:
        """Return the sha256 digest of each data set that runs of this folder used; empty before the first run.

        A plan needs it, because copies of mini-ImageNet differ in their bytes. Raises ResultsError.
        """
        path = self.root / "digests.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except ValueError:
            raise ResultsError(f"{path}: is not valid JSON; delete it, and the next run writes it again") from None

    def note_digests(self, digests: Mapping[str, str]) -> None:
        """Add `digests` to those that later plans use. Raises OSError."""
        known = self.digests() | dict(digests)
        if known != self.digests():
            write_whole(self.root / "digests.json", json.dumps(known, indent=1, sort_keys=True).encode())

    def ensure_writable(self) -> None:
        """Create the folder and check that a file in it can be written. Raises ResultsError that says what to do."""
        probe = self.root / f".probe.{socket.gethostname()}.{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            raise ResultsError(
                f"{self.root}: the results folder can't be written ({error.strerror}); "
                "free space there or fix its permissions, or name another with --results DIR"
            ) from None
