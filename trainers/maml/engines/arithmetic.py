"""How exactly a GPU multiplies: in full, or with fewer digits for speed, and then only where a config says so."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainers.maml.config import Arithmetic


@contextmanager
def multiplying(arithmetic: Arithmetic, device: torch.device) -> Iterator[None]:
    """Have convolutions and matrix products within the block done in `arithmetic`.

    With "full" a float32 is one: torch's own setting would let cuDNN round convolutions to TF32's 10 bits. With "bf16"
    what autocast deems safe is computed in bfloat16; parameters, gradients and Adam stay in float32.
    """
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = arithmetic == "tf32"
    try:
        # A graph can't hold weights that a cache has cast before it was captured; each inner step has new ones anyway.
        with torch.autocast(device.type, torch.bfloat16, enabled=arithmetic == "bf16", cache_enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
