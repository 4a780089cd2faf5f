"""A GPU that is played on a CPU: it records calls of streams and graphs, and accounts for memory. It times nothing.

Tensors claim to be on "cuda" and are in the CPU's memory. A graph records each operation of its capture with the
tensors that it reads and writes. A replay computes them again into the same tensors, as a GPU does, so a captured step
whose inputs aren't where the graph reads them is wrong here too. A capture computes nothing that lasts.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
MIB = 2**20


class PlayedGpu:
    """What a test sees of it: `calls` in order, `graphs` that live, and its memory in bytes."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.calls: list[str] = []
        self.graphs: weakref.WeakSet[Graph] = weakref.WeakSet()
        self.used_bytes = self.peak_bytes = 0
        self.capturing: Graph | None = None
        self.stream = "main"

    def take(self, storage: torch.UntypedStorage) -> None:
        """Account for memory until nothing refers to it. Raises OutOfMemoryError."""
        size = storage.nbytes()
        if self.used_bytes + size > self.total_bytes:
            raise torch.cuda.OutOfMemoryError(f"played: {self.used_bytes} of {self.total_bytes} bytes are in use")
        self.used_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)
        weakref.finalize(storage, self._give_back, size)

    def _give_back(self, size: int) -> None:
        self.used_bytes -= size


class Graph:
    """Stands in for torch.cuda.CUDAGraph."""

    def __init__(self, gpu: PlayedGpu) -> None:
        self._gpu = gpu
        self._work: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []
        self._before: list[tuple[Tensor, Tensor]] = []
        gpu.graphs.add(self)
        gpu.calls.append("graph made")

    def record(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if function._schema.is_mutable:
            changed = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            self._before += [(tensor, tensor.clone()) for tensor in changed]
        found = function(*args, **kwargs)
        self._work.append((function, args, kwargs, found))
        return found

    def undo(self) -> None:
        """Give all that the capture has changed its old value, and all that it has made no value."""
        made = [leaf for *_, found in self._work for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
        for tensor in made:
            if tensor.is_floating_point() and tensor._base is None:
                tensor.fill_(float("nan"))
        for tensor, before in reversed(self._before):
            tensor.copy_(before)
        self._before.clear()

    def replay(self) -> None:
        self._gpu.calls.append("replay")
        with torch._C.DisableTorchFunction():  # what was recorded names no device; asking each time takes long
            for function, args, kwargs, found in self._work:
                again = function(*args, **kwargs)
                for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class _Operations(TorchDispatchMode):
    """Sees each operation: gives it to the graph that is being captured, and accounts for what it makes."""

    def __init__(self, gpu: PlayedGpu) -> None:
        super().__init__()
        self._gpu = gpu
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        graph, kwargs = self._gpu.capturing, kwargs or {}
        found = graph.record(function, args, kwargs) if graph else function(*args, **kwargs)
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and (storage := leaf.untyped_storage()) not in self._known:
                self._known.add(storage)
                self._gpu.take(storage)
        return found


class _Claims(TorchFunctionMode):
    """Lets every tensor claim to be on the GPU, and makes what is asked for on the GPU on the CPU."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function == Tensor.is_cuda.__get__:
            return True
        if function == Tensor.device.__get__:
            return CUDA
        if function == Tensor.pin_memory:
            return args[0]
        here = [_on_cpu(value) for value in args]
        return function(*here, **{name: _on_cpu(value) for name, value in (kwargs or {}).items()})


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return "cpu" if isinstance(value, str) and value == "cuda" else value  # a tensor would compare its entries


class _Stream:
    """Stands in for torch.cuda.Stream."""

    def __init__(self, gpu: PlayedGpu, name: str) -> None:
        self._gpu, self.name = gpu, name

    def wait_stream(self, other: "_Stream") -> None:
        self._gpu.calls.append(f"{self.name} waits for {other.name}")


@contextmanager
def played_gpu(monkeypatch: pytest.MonkeyPatch, total_bytes: int = 2**40) -> Iterator[PlayedGpu]:
    """Play a GPU with `total_bytes` of memory in this block."""
    gpu = PlayedGpu(total_bytes)

    @contextmanager
    def on_stream(stream: _Stream) -> Iterator[None]:
        before, gpu.stream = gpu.stream, stream.name
        gpu.calls.append(f"on {stream.name}")
        try:
            yield
        finally:
            gpu.stream = before
            gpu.calls.append(f"on {before}")

    @contextmanager
    def capture(graph: Graph) -> Iterator[None]:
        gpu.capturing = graph
        gpu.calls.append("capture")
        try:
            yield
        finally:
            gpu.capturing = None
            gpu.calls.append("captured")
            graph.undo()

    def forget() -> None:
        gpu.peak_bytes = gpu.used_bytes

    with monkeypatch.context() as patch, ExitStack() as modes:
        for name, played in {
            "is_available": lambda: True,
            "Stream": lambda device: _Stream(gpu, "side"),
            "current_stream": lambda: _Stream(gpu, gpu.stream),
            "stream": on_stream,
            "CUDAGraph": lambda: Graph(gpu),
            "graph": capture,
            "mem_get_info": lambda: (gpu.total_bytes - gpu.used_bytes, gpu.total_bytes),
            "max_memory_allocated": lambda: gpu.peak_bytes,
            "reset_peak_memory_stats": forget,
            "set_per_process_memory_fraction": lambda share: gpu.calls.append(f"share {share:g}"),
        }.items():
            patch.setattr(torch.cuda, name, played)
        modes.enter_context(_Operations(gpu))
        modes.enter_context(_Claims())
        yield gpu
