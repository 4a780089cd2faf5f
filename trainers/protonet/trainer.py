"""Prototypical networks as a trainer that sweeper can run. Loads torch only to train."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trainers.function.state_content import decode
from trainers.maml.network_names import is_own, located
from trainers.maml.recipe import of_data, of_network
from trainers.maml.trainer import MAML, MamlTrainer, episode_of, held
from trainers.named_code import Code
from trainers.protonet.config import ProtonetConfig, evaluation_episodes, resolve, training_episodes
from trainers.readings import ReadingsTrainer
from trainers.showing import EpisodeShown
from trainers.trainer import Chunk, Data, Metric, Problem, Task, Wanted

_SPLITS = {"split": ("test", "val")}
RECIPE = 1
"""Raised by hand when a change alters the numbers."""


class ProtonetTrainer(ReadingsTrainer):
    """The protocol of `trainers.trainer.Trainer`; its numbers are readings."""

    name = "protonet"
    config = ProtonetConfig
    length = "outer_steps"
    resumes = True
    metrics: Mapping[str, Metric] = {
        "accuracy": Metric(
            words="Accuracy of evaluations", unit="%", better="higher", coordinates=_SPLITS, least=0.0, most=1.0
        ),
        "episode_sd": Metric(
            words="Standard deviation of the accuracy over evaluation episodes",
            unit="%",
            coordinates=_SPLITS,
            least=0.0,
            most=1.0,
        ),
        "loss": Metric(words="Loss of the training episodes (nats)", better="lower", least=0.0),
        "training_accuracy": Metric(
            words="Accuracy of the training episodes", unit="%", better="higher", least=0.0, most=1.0
        ),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {
        "omniglot": {"dataset": "omniglot", "network": "conv4_strided", "rotations": True},
        "mini_imagenet": {"dataset": "mini_imagenet", "network": "conv4_pooled", "channels": 64},
        "strokes": {"dataset": "strokes", "network": "conv4_strided", "channels": 32},
    }

    def __init__(self, folder: str = "") -> None:
        """Take the folder of the sweep file, where files of networks are."""
        self._folder = folder
        self._maml = MamlTrainer(folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProtonetTrainer) and self._folder == other._folder

    def __hash__(self) -> int:
        return hash(self._folder)

    def resolve(self, values: Mapping[str, Any]) -> ProtonetConfig:
        return resolve(values)

    def recipe(self, config: BaseModel) -> Mapping[str, int]:
        episodes = training_episodes(self._own(config))
        shared = (of_data(episodes.dataset), of_network(episodes.network))
        found = MAML.recipe(episodes).items()
        return {"protonet": RECIPE} | {name: number for name, number in found if name in shared}

    def code(self) -> str:
        return ""  # the recipe stands for it

    def unmeasured(self, config: BaseModel, wanted: Wanted) -> Iterator[tuple[str, str]]:
        own = self._own(config)
        yield from super().unmeasured(config, wanted)
        split = wanted.coordinates.get("split")
        if split in ("test", "val") and own.eval_split not in (split, "both"):
            yield "split", f"{split} is never measured, because eval_split is {own.eval_split}"
        every = own.eval_every if wanted.metric in ("accuracy", "episode_sd") else 0
        steps = (own.outer_steps,) if wanted.at == "last" else wanted.at
        off = [step for step in steps if every and step % every]
        if off:
            yield "at", f"no evaluation is made at step {off[0]}, because eval_every is {every}"

    def dataset(self, config: BaseModel) -> str:
        return self._own(config).dataset

    def digest(self, dataset: str) -> str:
        return MAML.digest(dataset)

    def prepare(self, dataset: str, root: Path) -> Data:
        return MAML.prepare(dataset, root)

    def checkpoint_bytes(self, config: BaseModel) -> int:
        return self._maml.checkpoint_bytes(evaluation_episodes(self._own(config)))

    def make_ready(self, device: str, threads: int, share: float) -> None:
        MAML.make_ready(device, threads, share)

    def train(self, task: Task) -> Iterator[Chunk]:
        from trainers.data.datasets import Prepared
        from trainers.data.on_device import load_pixels
        from trainers.protonet.training import Training

        config, state = self.alone(task)
        own = self._own(config)
        if is_own(own.network):
            from trainers.maml.networks.own import renew

            renew(own.network)
        assert task.data is not None
        prepared = Prepared(name=own.dataset, path=task.data.path, digest=task.data.digest)
        pixels = load_pixels(prepared, task.device)
        return held(prepared.name, prepared.digest, lambda: Training(own, pixels, state).chunks(task.chunk_s))

    def episode(self, config: BaseModel, data: Data, split: str, number: int) -> EpisodeShown:
        own = self._own(config)
        if split == "train":
            return episode_of(
                training_episodes(own).model_copy(update={"outer_steps": own.outer_steps}), data, split, number
            )
        evaluation = evaluation_episodes(own).model_copy(update={"eval_episodes": own.eval_episodes})
        return episode_of(evaluation, data, split, number)

    def check_content(self, content: bytes) -> None:
        decode(content)

    def named_code(self, config: BaseModel) -> Code | None:
        return self._maml.named_code(training_episodes(self._own(config)))

    def named_faults(self, config: BaseModel) -> Iterator[Problem]:
        return self._maml.named_faults(training_episodes(self._own(config)))

    def _own(self, config: BaseModel) -> ProtonetConfig:
        """Return `config` with the place of its network's file."""
        assert isinstance(config, ProtonetConfig)
        return located(config, self._folder)


PROTONET = ProtonetTrainer()
