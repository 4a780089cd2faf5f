"""MAML as a trainer that sweeper can run: the protocol of `trainers.trainer`, answered by the modules of this part.

Computes nothing itself. Loads torch only to train, and to read or write whole checkpoints.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from trainers.data.added import shelf
from trainers.data.archives import DataError
from trainers.data.catalog import CATALOG
from trainers.data.facts import facts_of
from trainers.maml import compile_ahead, pack_size, protocols
from trainers.maml.checkpoints.head import NOTHING_SCORED, scores_shape
from trainers.maml.checkpoints.records import records_in
from trainers.maml.config import HEADS, PACKABLE, TrialConfig, resolve
from trainers.maml.engines.table import COMPILING, ENGINES_OF_DEVICE, EngineName, cannot_treat, fastest
from trainers.maml.layout import feature_count, parameter_count
from trainers.maml.measured import METRICS, unmeasured
from trainers.maml.network_code import hash_of
from trainers.maml.network_names import is_own, located, short_name
from trainers.maml.points import points
from trainers.maml.recipe import recipe_of
from trainers.maml.record_forms import FORMS
from trainers.named_code import Code
from trainers.showing import EpisodeShown
from trainers.trainer import Chunk, Data, Metric, Point, Problem, Task, TrainerError, Wanted
from trainers.tuned import Command

_PASSES = {"evaluation": "", "evaluation_val": "", "final": "last pass, "}
_HEADS = {"trained": "as trained", "zeroed": "with the head zeroed"}
COPIES_IN_A_CHECKPOINT = 3
"""Parameters and Adam's two moments."""
BYTES = {"float32": 4, "float64": 8}


class MamlTrainer:
    """The protocols of `trainers.trainer.Trainer` and `trainers.tuned.Tuned` for MAML, ANIL and the explicit losses."""

    name = "maml"
    config: type[BaseModel] = TrialConfig
    length: str | None = "outer_steps"
    packable = PACKABLE
    metrics: Mapping[str, Metric] = METRICS
    records: Mapping[str, type[BaseModel]] = FORMS
    resumes = True
    modules: tuple[str, ...] = ("trainers.maml.train",)

    def __init__(self, folder: str = "") -> None:
        """Take the folder of the sweep file, where files of networks are. Without it, no code of a network is hashed
        or tried, and files are seen from the working directory.
        """
        self._folder = folder
        self._codes: dict[str, str] = {}  # taken once: a file may change after this process has imported it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MamlTrainer) and self._folder == other._folder

    def __hash__(self) -> int:
        return hash(self._folder)

    @property
    def protocols(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: protocols.load(name) for name in protocols.names()}

    def resolve(self, values: Mapping[str, Any]) -> TrialConfig:
        return resolve({**values})

    def recipe(self, config: BaseModel) -> Mapping[str, int]:
        return recipe_of(self._own(config))

    def code(self) -> str:
        return ""

    def unmeasured(self, config: BaseModel, wanted: Wanted) -> Iterator[tuple[str, str]]:
        return unmeasured(self._own(config), wanted)

    def dataset(self, config: BaseModel) -> str:
        return self._own(config).dataset

    def digest(self, dataset: str) -> str:
        return facts_of(dataset).digest

    def prepare(self, dataset: str, root: Path) -> Data:
        from trainers.data.datasets import prepare

        try:
            found = prepare(dataset, root)
        except DataError as error:
            raise TrainerError(str(error)) from None
        return Data(dataset, found.path, found.digest)

    def checkpoint_bytes(self, config: BaseModel) -> int:
        own = self._own(config)
        count = self._own_count(own) if is_own(own.network) else parameter_count(own)
        if own.inner_rates == "per_parameter":
            count += _adapted_count(own, count)
        return count * COPIES_IN_A_CHECKPOINT * BYTES[own.dtype]

    def engines(self, device: str) -> tuple[str, ...]:
        return ENGINES_OF_DEVICE[device]

    def engine(self, config: BaseModel, device: str) -> str:
        return fastest(self._own(config), device)

    def cannot_treat(self, engine: str, config: BaseModel, device: str) -> str:
        if engine not in ENGINES_OF_DEVICE[device]:
            return f"engine {engine} is not for device {device}; choose from {', '.join(ENGINES_OF_DEVICE[device])}"
        return cannot_treat(engine, self._own(config), device)

    def make_ready(self, device: str, threads: int, share: float) -> None:
        import torch

        from trainers.data.on_device import limit_memory
        from trainers.process.allocator import keep_freed_memory

        keep_freed_memory()
        limit_memory(device, share)
        torch.set_num_threads(threads)

    def begun(self, config: BaseModel) -> Any:
        from trainers.maml.train import begun

        self._renew([config])
        return begun(self._own(config))

    def point(self, config: BaseModel, state: Any) -> Any:
        from trainers.maml.evaluation import position

        return position(self._own(config), state)

    def train(self, task: Task) -> Iterator[Chunk]:
        from trainers.data.datasets import Prepared
        from trainers.data.on_device import load_pixels
        from trainers.maml.train import train

        self._renew(task.configs)
        assert task.data is not None
        prepared = Prepared(name=task.data.name, path=task.data.path, digest=task.data.digest)
        configs, pixels = [self._own(config) for config in task.configs], load_pixels(prepared, task.device)

        def chunks() -> Iterator[Chunk]:
            engine = cast(EngineName, task.engine)
            return train(configs, pixels, states=task.states, engine=engine, chunk_s=task.chunk_s)

        return held(prepared.name, prepared.digest, chunks)

    def save_together(self, files: Iterable[tuple[Path, Any]]) -> None:
        from trainers.maml.checkpoints.checkpoint import save_together

        save_together(files)

    def load(self, path: Path) -> Any:
        from trainers.maml.checkpoints.checkpoint import read

        return read(path)

    def point_in(self, path: Path | None) -> Any:
        return NOTHING_SCORED if path is None else scores_shape(path)

    def records_in(self, payload: bytes) -> list[tuple[int, str, dict[str, Any]]]:
        return records_in(payload)

    def said(self, key: str, value: Mapping[str, Any]) -> str:
        if key not in _PASSES:
            return ""
        by_head = value["accuracy"].items()  # lists by number of inner steps, the last one is logged
        accuracies = ", ".join(f"{100 * accuracy[-1]:.2f} % {_HEADS[head]}" for head, accuracy in by_head)
        return f"{_PASSES[key]}{value['split']} accuracy {accuracies}, over {value['episodes']} episodes"

    def progress(self, key: str, value: Mapping[str, Any]) -> float | None:
        if key != "evaluation":
            return None
        return next(value["accuracy"][head][-1] for head in reversed(HEADS) if head in value["accuracy"])

    def outcome(self, config: BaseModel, number: float) -> str:
        own = self._own(config)
        head = "as trained" if own.eval_heads == "trained" else "zeroed"
        return f"{own.eval_splits[-1]} accuracy {100 * number:.1f} % (head {head})"

    def points(self, record: Mapping[str, Any], *, all_of_them: bool) -> list[Point]:
        return points(record, all_of_them=all_of_them)

    def episode(self, config: BaseModel, data: Data, split: str, number: int) -> EpisodeShown:
        return episode_of(self._own(config), data, split, number)

    def kernels(self, engine: str) -> Mapping[str, str]:
        if engine not in COMPILING:
            return {}
        from trainers.maml.engines.compiled.sizes import instruction_set

        return {"instruction_set": instruction_set()} | {name: version(name) for name in ("numba", "llvmlite")}

    def compiling(self, trials: Iterable[tuple[str, BaseModel]]) -> Command | None:
        return compile_ahead.compiling((engine, self._own(config)) for engine, config in trials)

    def demand(self, config: BaseModel) -> int:
        return pack_size.work(self._own(config))

    def measuring(self, config: BaseModel, device: str, data_root: Path, most: int, engine: str | None) -> Command:
        words = (sys.executable, "-m", "trainers.maml.pack_size", "-", "--device", device, "--most", str(most))
        more = ("--data-root", str(data_root), *(("--engine", engine) if engine else ()))
        return Command((*words, *more), self._own(config).model_dump_json())

    def named_code(self, config: BaseModel) -> Code | None:
        own = self._own(config)
        if not is_own(own.network) or not self._folder:
            return None
        if own.network not in self._codes:
            self._codes[own.network] = hash_of(own.network)
        return Code(f"network {short_name(own.network)}", self._codes[own.network])

    def named_faults(self, config: BaseModel) -> Iterator[Problem]:
        own = self._own(config)
        if is_own(own.network) and self._folder:
            from trainers.maml.networks.examined import fault

            field, message = fault(own)
            if message:
                yield Problem(field, message)

    def _own_count(self, config: TrialConfig) -> int:
        """Return the number of parameters of a network of one's own, 0 where its code may not be run."""
        if not self._folder:
            return 0
        from trainers.maml.networks.examined import parameter_count

        return parameter_count(config)

    def _renew(self, configs: Iterable[BaseModel]) -> None:
        """Let this process compute with the present code of the networks that `configs` name."""
        for network in {self._own(config).network for config in configs}:
            if is_own(network):
                from trainers.maml.networks.own import renew

                renew(network)

    def _own(self, config: BaseModel) -> TrialConfig:
        """Return `config` with the place of its network's file."""
        assert isinstance(config, TrialConfig)
        return located(config, self._folder)


def episode_of(config: TrialConfig, data: Data, split: str, number: int) -> EpisodeShown:
    """Return episode `number` of `split`, as `trainers.showing.Showing` says."""
    from trainers.data.datasets import Prepared
    from trainers.data.on_device import load_pixels
    from trainers.maml.shown import shown

    prepared = Prepared(name=data.name, path=data.path, digest=data.digest)
    return shown(config, load_pixels(prepared, "cpu"), split, number)


def held(dataset: str, digest: str, begin: Callable[[], Iterator[Chunk]]) -> Iterator[Chunk]:
    """Train by the chunks that `begin` returns, with what is known of the data set as it is now, to the end.

    Raises TrainerError, with the first chunk, if the added data set of this name has another digest by now.
    """
    return begin() if dataset in CATALOG else _held(dataset, digest, begin)


def _held(dataset: str, digest: str, begin: Callable[[], Iterator[Chunk]]) -> Iterator[Chunk]:
    holding = shelf.holding(dataset, digest)
    try:
        holding.__enter__()
    except DataError as error:
        raise TrainerError(str(error)) from None
    try:
        yield from begin()
    finally:  # without an error's traceback, which would keep the frames and a GPU's memory with them
        holding.__exit__(None, None, None)


def _adapted_count(config: TrialConfig, parameters: int) -> int:
    """Return how many of the trained `parameters` the inner loop adapts; for a network of one's own, of both parts."""
    if config.algorithm == "maml" or is_own(config.network):
        return parameters
    head = config.ways * (feature_count(config) + config.head_bias)
    return head if config.algorithm == "anil" else parameters - head


MAML = MamlTrainer()
