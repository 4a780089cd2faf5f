"""The precision of products on a GPU: full, or lower for speed if the config says so. Knows no engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainers.maml.config import Arithmetic


@contextmanager
def multiplying(arithmetic: Arithmetic, device: torch.device) -> Iterator[None]:
    """Compute convolutions and matrix products within the block in `arithmetic`.

    "full" is full float32; torch's default would let cuDNN round convolutions to TF32's 10 bits. With "bf16",
    autocast computes in bfloat16 what it considers safe; parameters, gradients and Adam stay in float32.
    """
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = arithmetic == "tf32"
    try:
        # A graph can't use weights that a cache cast before the capture; each inner step has new weights anyway.
        with torch.autocast(device.type, torch.bfloat16, enabled=arithmetic == "bf16", cache_enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
