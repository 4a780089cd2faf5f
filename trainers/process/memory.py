"""The most memory that a training takes: of its GPU, or of its process."""

from contextlib import suppress
from pathlib import Path

_SELF = Path("/proc/self")


def forget_peak(device: str) -> None:
    """Begin anew to watch for the peak of `device` ("cpu" or "cuda"); without effect where a kernel can't."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        (_SELF / "clear_refs").write_text("5", encoding="ascii")


def peak_bytes(device: str) -> int | None:
    """Return the peak since `forget_peak`: what torch took of a GPU, or a process's resident memory, None if untold."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        lines = (_SELF / "status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
