"""Where everything of a results folder lives; nobody else puts such a path together."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import SweepError

CHECKPOINT_SUFFIX = ".ckpt"


class ResultsError(SweepError):
    """The results folder can't be written: full, read-only, or not a folder."""

    exit_code = 4


@dataclass(frozen=True)
class TrialPaths:
    """The files of one trial. Attempt n writes under `attempt(n)` and nowhere else."""

    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    def attempt(self, number: int) -> Path:
        return self.folder / f"a{number}"

    def checkpoint(self, attempt: int, step: int) -> Path:
        return self.attempt(attempt) / f"step-{step:08d}{CHECKPOINT_SUFFIX}"

    def checkpoints(self, furthest: int, attempt: int | None = None) -> list[Path]:
        """Return the checkpoints up to step `furthest` of one attempt or all: last step first, then last attempt."""
        found = self.folder.glob(f"a{'*' if attempt is None else attempt}/step-*{CHECKPOINT_SUFFIX}")
        usable = [path for path in found if step_of(path) <= furthest]
        return sorted(usable, key=lambda path: (step_of(path), int(path.parent.name[1:])), reverse=True)


def step_of(checkpoint: Path) -> int:
    """Return the outer step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("step-").removesuffix(CHECKPOINT_SUFFIX))


@dataclass(frozen=True)
class Results:
    """One results folder; `root` is absolute."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "Results":
        try:
            return cls(path.expanduser().resolve())
        except RuntimeError as error:
            raise SweepError(f"{path}: {error}; name the results folder in full") from None

    def trial(self, trial_id: str) -> TrialPaths:
        return TrialPaths(self.root / "trials" / trial_id)

    @property
    def ray_log(self) -> Path:
        return self.root / "ray.log"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    def report(self, experiment: str) -> Path:
        return self.root / "reports" / experiment

    def digests(self) -> dict[str, str]:
        """Return the digest of each data set that runs of this folder used; empty before the first run.

        Copies of mini-ImageNet differ in their bytes, so a plan must name the one that was trained on.
        """
        path = self.root / "digests.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except ValueError:
            raise ResultsError(f"{path}: not readable as JSON; delete it, the next run writes it again") from None

    def note_digests(self, digests: Mapping[str, str]) -> None:
        """Remember `digests` for every later plan."""
        known = self.digests() | dict(digests)
        if known != self.digests():
            part = self.root / f".digests.json.{os.getpid()}"
            part.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
            part.replace(self.root / "digests.json")

    def ensure_writable(self) -> None:
        """Make the folder and prove that a file in it reaches the disk. Raises ResultsError saying what to do."""
        probe = self.root / f".probe.{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            raise ResultsError(
                f"{self.root}: the results folder can't be written ({error.strerror}); "
                "free space or permissions there, or name another with --results DIR"
            ) from None
