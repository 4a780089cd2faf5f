"""How the per-episode functions of `maml` are mapped over episodes (E) and over runs trained together (R).

Every engine computes the same gradients, tested in float64 for every variant; `engine_table` says which one runs.
"""

from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from trainers.config import Order, TrialConfig
from trainers.engine_table import EngineName
from trainers.episodes import Episode
from trainers.maml import (
    Adaptation,
    Forward,
    adapted_names,
    correct_counts,
    graph_gradient,
    query_outcome,
    transform_gradient,
)
from trainers.networks import Normalise, Params, classify, encode, native_norm, split_norm


class MetaGradient(NamedTuple):
    """Mean over episodes, for each of R runs: `gradient` (R, ...), `loss` (R,) in nats, `accuracy` (R,) in [0, 1]."""

    gradient: Params
    loss: Tensor
    accuracy: Tensor


class Engine(Protocol):
    """One way to map the maths over episodes and runs.

    `params` are stacked on R; `episodes` has one stack of E episodes per run; `inner_lr` is (R,); runs that are not
    in `alive` may be skipped and their results are meaningless.
    """

    def meta_gradient(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool]
    ) -> MetaGradient: ...

    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], steps: int
    ) -> Tensor:
        """Return integers (R, E, steps + 1): query images right after each number of inner steps."""


def build(name: EngineName, config: TrialConfig) -> Engine:
    """Return engine `name` for the algorithm, order and network of `config`."""
    return {"loop": LoopEngine, "vmap": VmapEngine}[name](config)


class LoopEngine:
    """One episode at a time through torch.autograd, each graph freed before the next is built."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self._forward = _forward(config, native_norm)

    def meta_gradient(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool]
    ) -> MetaGradient:
        """See Engine."""
        gradient = {name: torch.zeros_like(value) for name, value in params.items()}
        losses, accuracies = torch.zeros_like(inner_lr), torch.zeros_like(inner_lr)
        for run in _living(alive):
            leaves = {name: value[run].detach().requires_grad_() for name, value in params.items()}
            how = self._how(leaves, self._config.inner_steps, inner_lr[run], self._config.order)
            count = len(episodes[run].support_labels)
            for e in range(count):
                outcome = query_outcome(self._forward, leaves, episodes[run].at(e), how)
                grads = torch.autograd.grad(outcome.loss / count, list(leaves.values()))
                for name, grad in zip(leaves, grads, strict=True):
                    gradient[name][run] += grad
                losses[run] += outcome.loss.detach() / count
                accuracies[run] += outcome.accuracy / count
        return MetaGradient(gradient, losses, accuracies)

    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], steps: int
    ) -> Tensor:
        """See Engine."""
        count = len(episodes[0].support_labels)
        counts = torch.zeros(len(alive), count, steps + 1, dtype=torch.int64, device=inner_lr.device)
        for run in _living(alive):
            own = {name: value[run] for name, value in params.items()}
            how = self._how(own, steps, inner_lr[run], "first")
            for e in range(count):
                counts[run, e] = correct_counts(self._forward, own, episodes[run].at(e), how)
        return counts

    def _how(self, params: Params, steps: int, lr: Tensor, order: Order) -> Adaptation:
        return Adaptation(adapted_names(self._config.algorithm, params), steps, float(lr), graph_gradient(order))


class VmapEngine:
    """All episodes of all runs at once through torch.func; the affine part of batch norm stays outside (exactness)."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self._forward = _forward(config, split_norm)

    def meta_gradient(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool]
    ) -> MetaGradient:
        """See Engine."""

        def run_loss(own: Params, stack: Episode, lr: Tensor) -> tuple[Tensor, Tensor]:
            how = self._how(own, self._config.inner_steps, lr, self._config.order)
            loss, accuracy = torch.func.vmap(lambda episode: query_outcome(self._forward, own, episode, how))(stack)
            return loss.mean(), accuracy.mean()

        gradient_of_run = torch.func.grad_and_value(run_loss, has_aux=True)
        gradient, (loss, accuracy) = torch.func.vmap(gradient_of_run)(params, _stacked(episodes), inner_lr)
        return MetaGradient(gradient, loss, accuracy)

    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], steps: int
    ) -> Tensor:
        """See Engine."""

        def run_counts(own: Params, stack: Episode, lr: Tensor) -> Tensor:
            how = self._how(own, steps, lr, "first")
            return torch.func.vmap(lambda episode: correct_counts(self._forward, own, episode, how))(stack)

        return torch.func.vmap(run_counts)(params, _stacked(episodes), inner_lr)

    def _how(self, params: Params, steps: int, lr: Tensor, order: Order) -> Adaptation:
        return Adaptation(adapted_names(self._config.algorithm, params), steps, lr, transform_gradient(order))


def _forward(config: TrialConfig, normalise: Normalise) -> Forward:
    features = partial(encode, config.network, normalise=normalise)
    return lambda params, images: classify(params, features(params, images))


def _living(alive: list[bool]) -> list[int]:
    return [run for run, lives in enumerate(alive) if lives]


def _stacked(episodes: list[Episode]) -> Episode:
    """Return R stacks of E episodes as one with leading axes (R, E)."""
    return Episode(*(torch.stack(parts) for parts in zip(*episodes, strict=True)))
