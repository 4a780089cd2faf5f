"""A submission: what was given to Slurm in one go, frozen, and its files under `slurm/NNNNNN/` of the results folder.

The folder appears whole, under the next free number, before sbatch runs. So two commands never submit the same, and a
command that dies in between leaves the names by which its jobs are found. Runs no command of Slurm.
"""

import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sweeper.executors.slurm.content import FORM, Content
from sweeper.executors.slurm.frozen_search import Searched
from sweeper.results.paths import Results, ResultsError
from trainers.sealed_file import write_whole

if TYPE_CHECKING:
    from sweeper.executors.node_check import Asked

_DIGITS = 6


class Answer(NamedTuple):
    """What sbatch has answered for an array: its name, and its job's id."""

    part: str
    job: str


@dataclass(frozen=True)
class Submission:
    """One submission's folder."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @cached_property
    def content(self) -> Content:
        """What was frozen. Raises ResultsError."""
        path = self.folder / "submission.json"
        try:
            found: Content = json.loads(path.read_bytes())
            if found["form"] != FORM:
                raise ValueError(f"it has form {found['form']!r:.20}")
            return found
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ResultsError(
                f"{path}: is no submission that this version knows ({error}); cancel its jobs with scancel, and move "
                "its folder away"
            ) from None

    @property
    def searched(self) -> Searched:
        """What is searched, which may be nothing."""
        return self.content.get("searched", Searched(sweeps=[], searches=[], failed={}))

    def attempt_before(self, trial_id: str) -> int:
        """Return the number of a trial's last attempt before the submission: what failed later stays failed."""
        before = {trial["trial_id"]: trial["attempt"] for trial in self.content["trials"]}
        return before.get(trial_id, self.searched["failed"].get(trial_id, 0))

    @property
    def names(self) -> list[str]:
        return list(self.content["parts"])

    @property
    def results(self) -> Results:
        return Results(self.folder.parents[1])

    @property
    def script(self) -> Path:
        return self.folder / "slot.sh"

    @property
    def nodes(self) -> Path:
        """The folder with the token that a node must read, and with what the nodes write to prove it."""
        return self.folder / "nodes"

    @property
    def slots(self) -> Path:
        """The folder of the locks that slots hold while they live, one each."""
        return self.folder / "slots"

    @property
    def stop_mark(self) -> Path:
        """The file that tells every slot to save and to end for good."""
        return self.folder / "stop"

    @property
    def over_mark(self) -> Path:
        """The file that says that Slurm has nothing more of this submission."""
        return self.folder / "over"

    def stopped(self, trial_id: str) -> Path:
        """The file that says that a person has stopped this trial alone."""
        return self.folder / "stopped" / trial_id

    def refusal(self, slot: str) -> Path:
        """The file in which a slot says why it may not train."""
        return self.folder / "refused" / f"{slot}.txt"

    def idle(self, slot: str) -> Path:
        """The file in which a slot counts its lives in a row without a new step."""
        return self.folder / "idle" / slot

    def given_up(self, slot: str) -> Path:
        """The file in which a slot says why it is not queued again."""
        return self.folder / "given_up" / f"{slot}.txt"

    def complaints(self) -> list[str]:
        """Return why slots refused to train, or were not queued again, one sentence each."""
        found = []
        for name, words in (("refused", "a slot on node {} may not train: {}"), ("given_up", "slot {} {}")):
            for file in sorted((self.folder / name).glob("*.txt")):
                found.append(words.format(file.stem, file.read_text(encoding="utf-8").strip()))
        return found

    def note(self, part: str, job: str) -> None:
        """Remember what sbatch has answered for an array. Raises OSError."""
        line = json.dumps({"part": part, "job": job, "time_ms": time.time_ns() // 1_000_000}) + "\n"
        with (self.folder / "jobs.jsonl").open("a+b", buffering=0) as file:
            file.write(line.encode())
            os.fsync(file.fileno())

    def answers(self) -> list[Answer]:
        """Return what sbatch has answered so far. A line that a crash left incomplete is passed over."""
        try:
            lines = (self.folder / "jobs.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                answer = json.loads(line)
                found.append(Answer(answer["part"], answer["job"]))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    @property
    def answered(self) -> bool:
        """Whether sbatch has answered for every array."""
        return set(self.names) <= {answer.part for answer in self.answers()}

    def age_s(self) -> float:
        """Return how long ago the folder was made, by the clock of its file system alone. Raises OSError."""
        probe = self.folder.parent / f".now.{socket.gethostname()}.{os.getpid()}"
        try:
            probe.write_bytes(b"")
            return probe.stat().st_mtime - (self.folder / "submission.json").stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def withdraw(self) -> None:
        """Remove the folder of a submission that Slurm has refused whole."""
        shutil.rmtree(self.folder, ignore_errors=True)


def new_token() -> str:
    """Return the name of a submission's jobs, up to the number of the array."""
    return f"sweeper-{secrets.token_hex(5)}"


def submissions(results: Results, *, every: bool = False) -> list[Submission]:
    """Return the submissions that may have jobs, or `every` one, oldest first."""
    if not results.slurm.is_dir():
        return []
    found = [Submission(path) for path in results.slurm.iterdir() if path.name.isdecimal()]
    listed = sorted(found, key=lambda one: one.number)
    return listed if every else [one for one in listed if not one.over_mark.exists()]


def publish(results: Results, after: int, content: Content, script: str) -> Submission | None:
    """Let a submission appear as number `after` + 1. Return None if another command has taken that number.

    The folder appears with everything in it, by a rename that fails where the number is taken. Raises OSError.
    """
    from sweeper.executors.node_check import TOKEN_FILE

    results.slurm.mkdir(parents=True, exist_ok=True)
    part = results.slurm / f".part.{socket.gethostname()}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    folder = results.slurm / f"{after + 1:0{_DIGITS}d}"
    try:
        for name in ("nodes", "slots", "stopped", "refused"):
            (part / name).mkdir(parents=True)
        write_whole(part / "nodes" / TOKEN_FILE, content["asked"]["token"].encode())
        write_whole(part / "submission.json", json.dumps(content, separators=(",", ":")).encode())
        write_whole(part / "slot.sh", script.encode())
        part.rename(folder)
    except OSError:
        if folder.exists():
            return None
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Submission(folder)


def covered(content: Content) -> Mapping[str, int]:
    """Return the steps to which each trial of a submission will be trained, by its id."""
    found: dict[str, int] = {}
    for trial in content["trials"]:
        found[trial["trial_id"]] = max(trial["target"], found.get(trial["trial_id"], 0))
    return found


def with_meeting(asked: "Asked", folder: Path) -> "Asked":
    """Return what is asked of a node, with the folder of the submission as the place where it proves what it sees."""
    found = asked.copy()
    found["meeting"] = str(folder / "nodes")
    return found


def jobs_of(answers: Iterable[Answer]) -> list[str]:
    """Return the ids of the arrays."""
    return list(dict.fromkeys(answer.job for answer in answers))
