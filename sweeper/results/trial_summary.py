"""The summary of one trial: what plan, status and estimate need from its journal, without its curves."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from analysis.contract.lifecycle import Status
from sweeper.planning.identity import identify, identity
from sweeper.results.damage import damage_of
from sweeper.results.fold import fold_lines, understood
from sweeper.results.journal_lines import (
    DAMAGED,
    DamagedJournalError,
    JournalError,
    Line,
    NewerJournalError,
    counting,
    read_lines,
)
from sweeper.results.paths import TrialPaths
from trainers.registry import find
from trainers.trainer import DEFAULT, ConfigError, Reference, Trainer


class TrialSummary(NamedTuple):
    """The summary of a trial's journal.

    `digest`, `recipe`, `trainer` and `code` (the hash of the trainer's code, "" for none) are the last attempt's;
    `device`, `engine` and `pack` (how many trials trained together) the first's. `message` says in one line why it
    ended. `evaluated` lists the steps with an evaluation of MAML. Trials of one `cost_class` cost the same per step.
    `worker_s` is the time of its attempts in seconds, from the last one that began from step 0; a pack's time is shared
    equally. If `trouble` says why the journal can't be read, the trial counts as failed and the other fields are
    empty.
    """

    trial_id: str
    point: str
    digest: str
    recipe: Mapping[str, int]
    sweeps: Sequence[str]
    attempt: int
    status: Status
    message: str
    step: int
    target: int
    done_step: int
    evaluated: Sequence[int]
    device: str
    engine: str
    pack: int
    cost_class: str
    worker_s: float
    trainer: str = DEFAULT
    code: str = ""
    trouble: str = ""

    @property
    def damaged(self) -> bool:
        """Whether its journal is damaged, so that `run --mend` goes on with what is sound."""
        return self.trouble.startswith(DAMAGED)

    def is_done(self, target: int) -> bool:
        """Return whether the trial has been trained to `target` steps, 0 for a trainer without a length."""
        if self.trainer == DEFAULT:
            return self.done_step >= target and target in self.evaluated
        return self.done_step >= target and (self.done_step > 0 or self.status == "done")


def read_summary(path: Path) -> TrialSummary | None:
    """Return the summary of the journal at `path`, or None if it holds no attempt. Never raises JournalError."""
    try:
        with understood(path):
            return summary_of(list(read_lines(path)))
    except ConfigError as error:
        damage = damage_of(TrialPaths(path.parent))
        if damage is not None:
            return _unreadable(path.parent.name, DamagedJournalError(path, damage.fault, damage.lost))
        newer = NewerJournalError(path, f"a config that this version doesn't know ({error})")
        return _unreadable(path.parent.name, newer)
    except JournalError as error:
        return _unreadable(path.parent.name, error)


def _unreadable(trial_id: str, error: JournalError) -> TrialSummary:
    return TrialSummary(
        trial_id=trial_id,
        point="",
        digest="",
        recipe={},
        sweeps=[],
        attempt=0,
        status="failed",
        message="",
        step=0,
        target=0,
        done_step=0,
        evaluated=[],
        device="",
        engine="",
        pack=1,
        cost_class="",
        worker_s=0.0,
        trouble=str(error),
    )


def summary_of(lines: Sequence[Line]) -> TrialSummary | None:
    """Return the summary of a journal's `lines`, or None if they hold no attempt."""
    record = fold_lines(lines)
    if record is None:
        return None
    first, last = record["attempts"][0], record["attempts"][-1]
    return TrialSummary(
        trial_id=record["trial_id"],
        point=record["point"],
        digest=last["digest"],
        recipe=last["recipe"],
        sweeps=list(dict.fromkeys(attempt["sweep"] for attempt in record["attempts"])),
        attempt=last["attempt"],
        status=record["status"],
        message=in_one_line(record["message"]),
        step=record["step"],
        target=record["target"],
        done_step=record["done_step"],
        evaluated=[evaluation["step"] for evaluation in record["evaluations"]],
        device=first["device"],
        engine=first["engine"],
        pack=first["pack"],
        cost_class=_cost_class(record["config"], last, first["device"]),
        worker_s=_worker_s(counting(lines)),
        trainer=record.get("trainer", DEFAULT),
        code=last.get("code", ""),
    )


def in_one_line(message: str) -> str:
    """Return the first line of a message, or of the error at the end of its last traceback."""
    lines = message.strip().splitlines()
    traces = [number for number, line in enumerate(lines) if line.strip() == "Traceback (most recent call last):"]
    after = lines[traces[-1] + 1 :] if traces else lines
    return next((line for line in after if line[:1].strip()), "")


def _cost_class(config: Mapping[str, Any], attempt: Mapping[str, Any], device: str) -> str:
    if "class" in attempt:
        return identify({"class": attempt["class"], "device": device})
    maml = find(Reference(DEFAULT, ""))
    return cost_class_of(maml, maml.resolve(config), device)


def cost_class_of(trainer: Trainer, config: BaseModel, device: str) -> str:
    """Return a hash of all that the cost per step on `device` depends on: not the seed or another packable field."""
    if trainer.name != DEFAULT:
        return identify({"class": class_of(trainer, config), "device": device})
    return identify(_alike(trainer, config) | {"device": device})


def class_of(trainer: Trainer, config: BaseModel) -> str:
    """Return a hash of the fields of `config` that the cost per step depends on, for a trainer other than MAML."""
    return identify(_alike(trainer, config))


def _alike(trainer: Trainer, config: BaseModel) -> dict[str, Any]:
    return {name: value for name, value in identity(trainer, config).items() if name not in trainer.packable}


def _worker_s(lines: Sequence[Line]) -> float:
    total_s, share = 0.0, 1
    for before, line in pairwise(lines):
        share = before["pack"] if before["kind"] == "attempt" else share
        if line["kind"] != "attempt":  # no worker runs between two attempts
            total_s += max(line["time_ms"] - before["time_ms"], 0) / 1000 / share  # a clock may be set back
    return total_s
