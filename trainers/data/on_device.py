"""Loads a prepared data set onto the training device, whole, as one uint8 tensor. Draws no episodes."""

import torch
from torch import Tensor

from trainers.data.datasets import Prepared, load


class DeviceError(Exception):
    """The requested device is not available; no other device replaces it."""


def check_device(device: str) -> None:
    """Raise DeviceError if `device` ("cpu" or "cuda") can't be used by this process."""
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device cuda was asked for, but torch sees no CUDA device here; use --device cpu")


def limit_memory(device: str, share: float) -> None:
    """Limit this process to `share` (in (0, 1]) of its GPU's memory; other processes have the rest."""
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(share)


def load_pixels(prepared: Prepared, device: str) -> Tensor:
    """Return uint8 [classes, images, C, H, W] on `device`; on the CPU the memory-mapped file. Raises DeviceError."""
    check_device(device)
    if device == "cuda":  # cuDNN's default, TF32, would round float32 to 10 bits
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return torch.from_numpy(load(prepared)).to(device)
