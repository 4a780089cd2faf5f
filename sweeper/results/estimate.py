"""Estimates the time and disk that a plan still needs, from the cost of finished trials like it. Never guesses."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    seconds, steps = _finished(known.values())
    by_target = sorted(todo, key=lambda standing: standing.spec.target)
    furthest = {standing.spec.trial_id: standing for standing in by_target}
    unknown, worker_s, disk_bytes = 0, 0.0, 0
    class_of_cell: dict[str, str] = {}
    for standing in furthest.values():
        spec = standing.spec
        if spec.cell not in class_of_cell:
            class_of_cell[spec.cell] = cost_class_of(spec.trainer, spec.cell_config, device)
        cost_class = class_of_cell[spec.cell]
        disk_bytes += spec.trainer.checkpoint_bytes(spec.cell_config) * CHECKPOINTS_KEPT + JOURNAL_BYTES
        if steps[cost_class]:
            left = spec.target - (standing.summary.step if standing.summary else 0)
            worker_s += max(left, 0) * seconds[cost_class] / steps[cost_class]
        else:
            unknown += 1
    return Estimate(trials=len(furthest), worker_s=worker_s, unknown=unknown, disk_bytes=disk_bytes, device=device)


def _finished(known: Iterable[TrialSummary]) -> tuple[Mapping[str, float], Mapping[str, int]]:
    """Return the worker seconds and the outer steps of the finished trials, by cost class."""
    seconds: dict[str, float] = defaultdict(float)
    steps: dict[str, int] = defaultdict(int)
    for summary in known:
        if summary.status == "done":
            seconds[summary.cost_class] += summary.worker_s
            steps[summary.cost_class] += summary.step
    return seconds, steps


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
