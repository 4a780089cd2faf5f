"""How many trials a run trains as one pack, where the user leaves it open, and how many may share a GPU."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeper.errors import SweepError
from sweeper.host.devices import Device
from sweeper.planning.trial_spec import TrialSpec
from trainers.maml.config import shared_by_pack
from trainers.maml.pack_size import OF_MEMORY, work


def pack_size(todo: Sequence[TrialSpec], device: Device, data_root: Path) -> tuple[int, str]:
    """Return the size of packs for `todo` on `device`, and the reason in a few words.

    On a CPU it is 1: a pack takes as long as its trials one after the other. On a GPU the trial that needs most memory
    is measured alone and in packs as large as some trials are alike. Raises SweepError when that can't be done.
    """
    if device == "cpu":
        return 1, "a CPU gains nothing by more"
    alike = Counter(shared_by_pack(spec.cell_config) for spec in todo)
    most = max(alike.values(), default=1)
    if most == 1:
        return 1, "no two trials are alike"
    largest = max((spec.config for spec in todo if alike[shared_by_pack(spec.cell_config)] > 1), key=work)
    found = measured(largest.model_dump(), device, data_root, most)
    told = ", ".join(f"{one['runs']}: {1000 * one['step_s']:.0f} ms a step" for one in found["measured"])
    return found["runs"], f"measured, {told}"


def check_share(todo: Sequence[TrialSpec], data_root: Path, share: float) -> None:
    """Raise SweepError if the trial of `todo` that needs most memory doesn't fit into `share` of a GPU."""
    largest = max((spec.config for spec in todo), key=work)
    found = measured(largest.model_dump(), "cuda", data_root, 1)
    peak, room = found["measured"][0]["peak_bytes"], found["free_bytes"] * share * OF_MEMORY
    if peak > room:
        fitting = max(int(found["free_bytes"] * OF_MEMORY / peak), 1)
        raise SweepError(
            f"a trial takes {peak / 2**30:.1f} GiB of a GPU's memory, and workers that share one have "
            f"{room / 2**30:.1f}; at most {fitting} a GPU, with --workers"
        )


def measured(
    config: dict[str, object], device: Device, data_root: Path, most: int, engine: str | None = None
) -> dict[str, Any]:
    """Return what a process of its own finds that tries packs of trials like `config`, up to `most` at once.

    Raises SweepError when it can't.
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
            f"what trials take of a GPU can't be measured: {why}; name --pack, 1 for none, and no --workers"
        )
    return json.loads(done.stdout)
