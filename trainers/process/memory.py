"""Peak memory of a training: on its GPU, or in its process. Sets no limit."""

from contextlib import suppress
from pathlib import Path

_SELF = Path("/proc/self")


def forget_peak(device: str) -> None:
    """Reset the peak of `device` ("cpu" or "cuda"); does nothing where the kernel does not support it."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        (_SELF / "clear_refs").write_text("5", encoding="ascii")


def peak_bytes(device: str) -> int | None:
    """Return the peak in bytes since `forget_peak`: of torch on a GPU, else of resident memory; None if unknown."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        lines = (_SELF / "status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
