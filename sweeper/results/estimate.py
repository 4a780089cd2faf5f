"""Estimates the time and disk that a plan still needs, from the cost of finished trials like it. Never guesses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sweeper.host.devices import Device
from sweeper.results.paths import CHECKPOINTS_KEPT
from sweeper.results.survey import Standing
from sweeper.results.trial_summary import TrialSummary, cost_class_of

JOURNAL_BYTES = 100_000  # journal and artefact together; measured: 10 to 200 kB


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cost of `trials` trials. `worker_s` is the time in seconds on one worker, of the trials with an estimate.

    `unknown` trials have none: no trial like them has finished on this kind of device.
    """

    trials: int
    worker_s: float
    unknown: int
    disk_bytes: int
    device: Device

    def sentence(self, workers: int) -> str:
        """Return the estimate for `workers` workers as one phrase."""
        if not self.trials:
            return "nothing to run"
        known = self.trials - self.unknown
        cost = "no estimate yet, since no trial like these has finished"
        if known:
            busy = min(workers, known)
            cost = f"{duration(self.worker_s / busy)} on {busy} {self.device} worker{'s' if busy > 1 else ''}"
            if self.device == "cuda":
                cost += f", {_gpu_hours(self.worker_s / 3600)}"
            if self.unknown:
                cost += f" for {known} of them, no estimate yet for the other {self.unknown}"
        return f"{self.trials} to run: {cost}; {_size(self.disk_bytes)} of disk"


def estimate(todo: Iterable[Standing], known: Mapping[str, TrialSummary], device: Device) -> Estimate:
    """Return the cost of the trials of `todo`, estimated from the finished trials among `known`.

    A trial with several targets counts once, with its furthest target.
    """
    finished = _finished(known.values())
    by_target = sorted(todo, key=lambda standing: standing.spec.target)
    furthest = {standing.spec.trial_id: standing for standing in by_target}
    unknown, worker_s, disk_bytes = 0, 0.0, 0
    class_of_cell: dict[str, str] = {}
    for standing in furthest.values():
        spec = standing.spec
        if spec.cell not in class_of_cell:
            class_of_cell[spec.cell] = cost_class_of(spec.trainer, spec.cell_config, device)
        cost = finished.get(class_of_cell[spec.cell], Cost())
        kept = CHECKPOINTS_KEPT if spec.trainer.resumes else 0
        disk_bytes += spec.trainer.checkpoint_bytes(spec.cell_config) * kept + JOURNAL_BYTES
        reached = standing.summary.step if standing.summary and spec.trainer.resumes else 0
        if spec.target and cost.steps:
            worker_s += max(spec.target - reached, 0) * cost.seconds / cost.steps
        elif not spec.target and cost.trials:
            worker_s += cost.seconds / cost.trials
        else:
            unknown += 1
    return Estimate(trials=len(furthest), worker_s=worker_s, unknown=unknown, disk_bytes=disk_bytes, device=device)


class Cost(NamedTuple):
    """What finished trials took together: their number, their worker seconds and their steps."""

    trials: int = 0
    seconds: float = 0.0
    steps: int = 0


def _finished(known: Iterable[TrialSummary]) -> Mapping[str, Cost]:
    """Return what the finished trials took, by cost class."""
    found: dict[str, Cost] = {}
    for summary in known:
        if summary.status == "done":
            trials, seconds, steps = found.get(summary.cost_class, Cost())
            found[summary.cost_class] = Cost(trials + 1, seconds + summary.worker_s, steps + summary.step)
    return found


def cost_per_step(known: Iterable[TrialSummary]) -> Mapping[str, float]:
    """Return the worker seconds of one step, by cost class, from the finished trials."""
    return {kind: cost.seconds / cost.steps for kind, cost in _finished(known).items() if cost.steps}


def duration(seconds: float) -> str:
    """Return `seconds` in words, rounded because an estimate is rough."""
    if seconds < 60:
        return "under 1 min"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.1f} h"


def _gpu_hours(hours: float) -> str:
    return "under 0.1 GPU-hours" if hours < 0.1 else f"{hours:.1f} GPU-hours"


def _size(count: int) -> str:
    if count < 1e6:
        return "under 1 MB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
