"""The default size of a pack, and whether a trial fits into a share of a GPU. Both are measured in another process."""

import json
import subprocess
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeper.errors import SweepError
from sweeper.host.devices import Device
from sweeper.planning.trial_spec import TrialSpec
from trainers.tuned import OF_MEMORY, Tuned


def pack_size(todo: Sequence[TrialSpec], begun: Mapping[str, int], device: Device, data_root: Path) -> tuple[int, str]:
    """Return the size of packs for `todo` on `device`, and the reason in a few words.

    `begun` has the size of the pack in which a trial began, by its id. On a CPU the size is 1: a pack takes as long as
    its trials one after the other. On a GPU, trials that have begun keep their size. If there are new trials, packs of
    the trial that needs most memory are measured, up to the largest possible pack of `todo`, and the size is at least
    that. Trials of a trainer that can't be measured train alone. Raises SweepError if measuring fails.
    """
    if device == "cpu":
        return 1, "packs gain nothing on a CPU"
    kept = max((begun.get(spec.trial_id, 1) for spec in todo), default=1)
    if all(spec.trial_id in begun for spec in todo):
        return kept, "as the trials began"
    keys = {spec.trial_id: spec.shared_by_pack() for spec in todo}
    alike: Counter[Hashable] = Counter(keys.values())
    most = max(alike.values(), default=1)
    if most == 1:
        return 1, "no two trials can share a pack"
    largest = _largest([spec for spec in todo if alike[keys[spec.trial_id]] > 1])
    if largest is None:
        return kept, "their trainer does not measure packs"
    result = measured(largest, device, data_root, most)
    times = ", ".join(f"{one['runs']}: {1000 * one['step_s']:.0f} ms a step" for one in result["measured"])
    return max(result["runs"], kept), f"measured, {times}"


def check_share(todo: Sequence[TrialSpec], data_root: Path, share: float) -> None:
    """Raise SweepError if the trial of `todo` that needs most memory doesn't fit into `share` of a GPU.

    Trials of a trainer that can't be measured are not checked.
    """
    largest = _largest(todo)
    if largest is None:
        return
    result = measured(largest, "cuda", data_root, 1)
    peak, room = result["measured"][0]["peak_bytes"], result["free_bytes"] * share * OF_MEMORY
    if peak > room:
        fitting = max(int(result["free_bytes"] * OF_MEMORY / peak), 1)
        raise SweepError(
            f"a trial takes {peak / 2**30:.1f} GiB of a GPU's memory, and the share of a worker is "
            f"{room / 2**30:.1f} GiB; give --workers for at most {fitting} on each GPU"
        )


def _largest(todo: Sequence[TrialSpec]) -> TrialSpec | None:
    """Return the trial that needs most memory, of those whose trainer can be measured; None if there is none."""
    demands = [
        (spec.trainer.demand(spec.config), -number)
        for number, spec in enumerate(todo)
        if isinstance(spec.trainer, Tuned)
    ]
    return todo[-max(demands)[1]] if demands else None


def measured(spec: TrialSpec, device: Device, data_root: Path, most: int, engine: str | None = None) -> dict[str, Any]:
    """Return what the trainer of `spec` measures of packs of up to `most` trials like it; see `trainers.tuned`.

    Raises SweepError if that process fails.
    """
    assert isinstance(spec.trainer, Tuned)
    command = spec.trainer.measuring(spec.config, device, data_root, most, engine)
    done = subprocess.run(command.words, input=command.given, capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise SweepError(
            f"the memory and time of trials can't be measured: {why}; give --pack (1: no packs) and no --workers"
        )
    return json.loads(done.stdout)
