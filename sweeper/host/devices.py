"""The devices of this machine. Does not import torch where there can be no GPU."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sweeper.errors import SweepError
from sweeper.host.system import usable_cpus

Device = Literal["cpu", "cuda"]
THREADS = 1
"""Number of threads of each worker."""
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""What an NVIDIA driver makes: its own device on Linux, that of Windows in WSL 2."""


def has_driver(drivers: Sequence[Path] = DRIVERS) -> bool:
    """Return whether there may be a GPU; only torch can tell whether it can be used."""
    return any(device.exists() for device in drivers)


def likely_device() -> Device:
    """Return the device that `choose_device("auto")` most likely chooses, without importing torch."""
    return "cuda" if has_driver() else "cpu"


def default_workers(device: Device) -> int:
    """Return the default number of workers: one per GPU, or one per CPU core that this process may use."""
    if device == "cpu":
        return usable_cpus()
    import torch

    return torch.cuda.device_count()


def gpu_share(workers: int | None, gpus: int) -> float:
    """Return the share in (0, 1] of a GPU for each of `workers` on `gpus` GPUs: 1, or equal parts if they share one."""
    together = 1 if workers is None else math.ceil(workers / gpus)
    return math.floor(10_000 / together) / 10_000  # Ray counts in units of 1/10,000


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> tuple[Device, str]:
    """Return the device and the reason for it. Raises SweepError if cuda is wanted and can't be used."""
    if wanted == "cpu":
        return "cpu", "asked for"
    if has_driver():
        import torch

        if torch.cuda.is_available():
            return "cuda", f"{torch.cuda.device_count()} CUDA device(s) found"
    if wanted == "cuda":
        seen = "a driver but no usable device" if has_driver() else "no NVIDIA driver"
        raise SweepError(f"--device cuda: {seen} here; use --device cpu, or a machine with a GPU")
    return "cpu", "no CUDA device found"


def show_only(gpus: Sequence[str]) -> None:
    """Make only `gpus` visible to this process, which must not have used a GPU yet; none if the list is empty.

    Ray itself lets a worker without an allotted GPU see all GPUs of its machine.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
