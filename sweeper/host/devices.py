"""What there is to run on, found out without importing torch where no GPU can be."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sweeper.errors import SweepError

Device = Literal["cpu", "cuda"]
THREADS = 1
"""Of each worker."""


def usable_cpus() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def likely_device() -> Device:
    """Return what `choose_device("auto")` would most likely choose, at no cost."""
    return "cuda" if Path("/dev/nvidiactl").exists() else "cpu"


def default_workers(device: Device) -> int:
    """Return one worker a GPU, or one a CPU core that this process may use."""
    if device == "cpu":
        return usable_cpus()
    import torch

    return torch.cuda.device_count()


def gpu_share(workers: int | None, gpus: int) -> float:
    """Return the part of a GPU that each of `workers` has where there are `gpus`: 1, or an equal one if they share."""
    together = 1 if workers is None else math.ceil(workers / gpus)
    return math.floor(10_000 / together) / 10_000  # the least that Ray counts in


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> tuple[Device, str]:
    """Return the device and the reason for it. Raises SweepError when cuda is asked for and isn't there."""
    if wanted == "cpu":
        return "cpu", "asked for"
    has_driver = Path("/dev/nvidiactl").exists()
    if has_driver:
        import torch

        if torch.cuda.is_available():
            return "cuda", f"{torch.cuda.device_count()} CUDA device(s) found"
    if wanted == "cuda":
        seen = "a driver but no usable device" if has_driver else "no NVIDIA driver"
        raise SweepError(f"--device cuda: {seen} here; use --device cpu, or run where a GPU is")
    return "cpu", "no CUDA device found"


def show_only(gpus: Sequence[str]) -> None:
    """Let this process, which must have used no GPU yet, see just these; none at all when there are none.

    Ray leaves a worker that it allots no GPU all those of its machine.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
