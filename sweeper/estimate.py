"""What is left of a plan in time and disk, from what finished trials like it have cost; no guess where none have."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeper.brief import Brief, kin_of
from sweeper.devices import Device
from sweeper.survey import Standing
from trainers.layout import parameter_count

CHECKPOINTS_KEPT = 2
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
        told = "no estimate yet (no finished trial is like these)"
        if known:
            told = f"about {_duration(self.worker_s / min(workers, known))} on {workers} {self.device} workers"
            gpu_hours = self.worker_s / 3600 if self.device == "cuda" else 0.0
            told += f", {gpu_hours:.1f} GPU-hours"
            if self.unknown:
                told += f"; no estimate yet for {self.unknown} of them"
        return f"{self.trials} to run: {told}; {_size(self.disk_bytes)} of disk"


def estimate(todo: Iterable[Standing], known: Mapping[str, Brief], device: Device) -> Estimate:
    """Return what the trials of `todo` would cost, from the finished ones among `known`."""
    seconds: dict[str, float] = defaultdict(float)
    steps: dict[str, int] = defaultdict(int)
    for brief in known.values():
        if brief.status == "done":
            seconds[brief.kin] += brief.worker_s
            steps[brief.kin] += brief.step
    trials, unknown, worker_s, disk_bytes = 0, 0, 0.0, 0
    kin_of_cell: dict[str, str] = {}
    for standing in todo:
        spec = standing.spec
        if spec.cell not in kin_of_cell:
            kin_of_cell[spec.cell] = kin_of(spec.cell_config, device)
        kin = kin_of_cell[spec.cell]
        trials += 1
        numbers = parameter_count(spec.cell_config) * COPIES_IN_A_CHECKPOINT * CHECKPOINTS_KEPT
        disk_bytes += numbers * BYTES[spec.cell_config.dtype] + JOURNAL_BYTES
        if steps[kin]:
            left = spec.target - (standing.brief.step if standing.brief else 0)
            worker_s += max(left, 0) * seconds[kin] / steps[kin]
        else:
            unknown += 1
    return Estimate(trials=trials, worker_s=worker_s, unknown=unknown, disk_bytes=disk_bytes, device=device)


def _duration(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
