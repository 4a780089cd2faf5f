"""How many trials a run trains as one pack, where the user leaves it open."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sweeper.devices import Device
from sweeper.errors import SweepError
from sweeper.plan import TrialSpec
from trainers.config import PACKABLE
from trainers.pack_size import work


def pack_size(todo: Sequence[TrialSpec], device: Device, data_root: Path | None) -> tuple[int, str]:
    """Return the size of packs for `todo` on `device`, and the reason in a few words.

    On a CPU it is 1: a pack takes as long as its trials one after the other. On a GPU the trial that needs most memory
    is measured alone and in packs as large as some trials are alike. Raises SweepError when that can't be done.
    """
    alike = Counter(_shape(spec) for spec in todo)
    most = max(alike.values(), default=1)
    if device == "cpu":
        return 1, "a CPU gains nothing by more"
    if most == 1:
        return 1, "no two trials are alike"
    largest = max((spec.config for spec in todo if alike[_shape(spec)] > 1), key=work)
    return measured(largest.model_dump(), device, data_root, most)


def measured(
    config: dict[str, object], device: Device, data_root: Path | None, most: int, engine: str | None = None
) -> tuple[int, str]:
    """Return the best size of a pack of trials like `config`, up to `most`, by a process that tries them."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(config, file)
        file.flush()
        words = [sys.executable, "-m", "trainers.pack_size", file.name, "--device", device, "--most", str(most)]
        words += ["--data-root", str(data_root)] if data_root else []
        words += ["--engine", engine] if engine else []
        done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise SweepError(f"the size of packs can't be measured: {why}; name one with --pack, 1 for none")
    found = json.loads(done.stdout)
    told = ", ".join(f"{one['runs']}: {1000 * one['step_s']:.0f} ms a step" for one in found["measured"])
    return found["runs"], f"measured, {told}"


def _shape(spec: TrialSpec) -> str:
    return json.dumps({name: value for name, value in spec.cell_config if name not in PACKABLE}, sort_keys=True)
