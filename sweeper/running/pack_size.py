"""The default size of a pack, and whether a trial fits into a share of a GPU. Both are measured in another process."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sweeper.errors import SweepError
from sweeper.host.devices import Device
from sweeper.planning.trial_spec import TrialSpec
from trainers.maml.config import TrialConfig
from trainers.maml.pack_size import OF_MEMORY, work


def pack_size(todo: Sequence[TrialSpec], begun: Mapping[str, int], device: Device, data_root: Path) -> tuple[int, str]:
    """Return the size of packs for `todo` on `device`, and the reason in a few words.

    `begun` has the size of the pack in which a trial began, by its id. On a CPU the size is 1: a pack takes as long as
    its trials one after the other. On a GPU, trials that have begun keep their size. If there are new trials, packs of
    the trial that needs most memory are measured, up to the largest possible pack of `todo`, and the size is at least
    that. Raises SweepError if measuring fails.
    """
    if device == "cpu":
        return 1, "packs gain nothing on a CPU"
    kept = max((begun.get(spec.trial_id, 1) for spec in todo), default=1)
    if all(spec.trial_id in begun for spec in todo):
        return kept, "as the trials began"
    alike = Counter(spec.shared_by_pack() for spec in todo)
    most = max(alike.values(), default=1)
    if most == 1:
        return 1, "no two trials can share a pack"
    largest = max((spec.config for spec in todo if alike[spec.shared_by_pack()] > 1), key=_work)
    result = measured(largest.model_dump(), device, data_root, most)
    times = ", ".join(f"{one['runs']}: {1000 * one['step_s']:.0f} ms a step" for one in result["measured"])
    return max(result["runs"], kept), f"measured, {times}"


def check_share(todo: Sequence[TrialSpec], data_root: Path, share: float) -> None:
    """Raise SweepError if the trial of `todo` that needs most memory doesn't fit into `share` of a GPU."""
    largest = max((spec.config for spec in todo), key=_work)
    result = measured(largest.model_dump(), "cuda", data_root, 1)
    peak, room = result["measured"][0]["peak_bytes"], result["free_bytes"] * share * OF_MEMORY
    if peak > room:
        fitting = max(int(result["free_bytes"] * OF_MEMORY / peak), 1)
        raise SweepError(
            f"a trial takes {peak / 2**30:.1f} GiB of a GPU's memory, and the share of a worker is "
            f"{room / 2**30:.1f} GiB; give --workers for at most {fitting} on each GPU"
        )


def _work(config: BaseModel) -> int:
    assert isinstance(config, TrialConfig)
    return work(config)


def measured(
    config: dict[str, object], device: Device, data_root: Path, most: int, engine: str | None = None
) -> dict[str, Any]:
    """Return the JSON of `trainers.maml.pack_size` for packs of up to `most` trials like `config`.

    Raises SweepError if that process fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(config, file)
        file.flush()
        words = [sys.executable, "-m", "trainers.maml.pack_size", file.name, "--device", device, "--most", str(most)]
        words += ["--data-root", str(data_root), *(["--engine", engine] if engine else [])]
        done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise SweepError(
            f"the memory and time of trials can't be measured: {why}; give --pack (1: no packs) and no --workers"
        )
    return json.loads(done.stdout)
