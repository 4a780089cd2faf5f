"""What is left of a plan in time and disk, from what finished trials like it have cost; no guess where none have."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeper.host.devices import Device
from sweeper.results.paths import CHECKPOINTS_KEPT
from sweeper.results.survey import Standing
from sweeper.results.trial_summary import Brief, kin_of
from trainers.maml.layout import parameter_count

COPIES_IN_A_CHECKPOINT = 3  # parameters and Adam's two moments
BYTES = {"float32": 4, "float64": 8}
JOURNAL_BYTES = 100_000  # with the artefact; measured 10 to 200 kB


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cost of `trials` trials. `worker_s` is for one worker, of those that finished trials tell about.

    `unknown` trials have no finished one like them, on a device of the same kind.
    """

    trials: int
    worker_s: float
    unknown: int
    disk_bytes: int
    device: Device

    def sentence(self, workers: int) -> str:
        """Return the estimate for `workers` workers in words."""
        if not self.trials:
            return "nothing to run"
        known = self.trials - self.unknown
        told = "no estimate yet, since no trial like these has finished"
        if known:
            busy = min(workers, known)
            told = f"{duration(self.worker_s / busy)} on {busy} {self.device} worker{'s' if busy > 1 else ''}"
            if self.device == "cuda":
                told += f", {_gpu_hours(self.worker_s / 3600)}"
            if self.unknown:
                told += f" for {known} of them, no estimate yet for the other {self.unknown}"
        return f"{self.trials} to run: {told}; {_size(self.disk_bytes)} of disk"


def estimate(todo: Iterable[Standing], known: Mapping[str, Brief], device: Device) -> Estimate:
    """Return what the trials of `todo` would cost, from the finished ones among `known`.

    One that is wanted to several targets is one trial and costs what the furthest does.
    """
    seconds, steps = _finished(known.values())
    furthest = {standing.spec.trial_id: standing for standing in sorted(todo, key=lambda found: found.spec.target)}
    unknown, worker_s, disk_bytes = 0, 0.0, 0
    kin_of_cell: dict[str, str] = {}
    for standing in furthest.values():
        spec = standing.spec
        if spec.cell not in kin_of_cell:
            kin_of_cell[spec.cell] = kin_of(spec.cell_config, device)
        kin = kin_of_cell[spec.cell]
        numbers = parameter_count(spec.cell_config) * COPIES_IN_A_CHECKPOINT * CHECKPOINTS_KEPT
        disk_bytes += numbers * BYTES[spec.cell_config.dtype] + JOURNAL_BYTES
        if steps[kin]:
            left = spec.target - (standing.brief.step if standing.brief else 0)
            worker_s += max(left, 0) * seconds[kin] / steps[kin]
        else:
            unknown += 1
    return Estimate(trials=len(furthest), worker_s=worker_s, unknown=unknown, disk_bytes=disk_bytes, device=device)


def _finished(known: Iterable[Brief]) -> tuple[Mapping[str, float], Mapping[str, int]]:
    """Return the worker seconds and the outer steps of the trials that are done, by kin."""
    seconds: dict[str, float] = defaultdict(float)
    steps: dict[str, int] = defaultdict(int)
    for brief in known:
        if brief.status == "done":
            seconds[brief.kin] += brief.worker_s
            steps[brief.kin] += brief.step
    return seconds, steps


def duration(seconds: float) -> str:
    """Return `seconds` as roughly as an estimate is known."""
    if seconds < 60:
        return "under 1 min"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.1f} h"


def _gpu_hours(hours: float) -> str:
    return "under 0.1 GPU-hours" if hours < 0.1 else f"{hours:.1f} GPU-hours"


def _size(count: int) -> str:
    if count < 1e6:
        return "under 1 MB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
