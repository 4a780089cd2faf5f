"""Maps the per-episode functions of `adapt` and `contrastive` over episodes (E) and runs of a pack (R).

Every engine computes the same gradients, tested in float64 for every variant; `table` says which one runs.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import QueryOutcome, graph_gradient, transform_gradient
from trainers.maml.config import TrialConfig
from trainers.maml.engines.engine import Engine, MetaGradient, living, run_by_run
from trainers.maml.engines.outcomes import Rate, outcome_of, scores_of
from trainers.maml.engines.table import EngineName
from trainers.maml.engines.unfolded import convolve
from trainers.maml.episodes import Episode
from trainers.maml.method_fields import is_added
from trainers.maml.model import Model, build_model, model_with
from trainers.maml.networks import Convolve, Params


def build(name: EngineName, config: TrialConfig) -> Engine:
    """Return engine `name` for the algorithm, order and network of `config`."""
    if name == "compiled":
        from trainers.maml.engines.compiled.engine import CompiledEngine  # needs a compiler that others don't need
        from trainers.maml.engines.compiled.methods import MethodsEngine

        return MethodsEngine(config) if is_added(dict(config)) else CompiledEngine(config)
    if name in ("vmap", "graph"):
        return VmapEngine(config)
    return VmapEngine(config, convolve) if name == "unfold" else LoopEngine(config, episode_model(name, config))


def episode_model(name: EngineName, config: TrialConfig) -> Model:
    """Return the model with which engine `name`, or what looks at its training, treats one episode at a time."""
    if name not in ("fused", "compiled"):
        return build_model(config, vectorised=False)
    from trainers.maml.engines.fused import encode_fused  # needs a compiler of kernels that no other engine needs

    return model_with(config, partial(encode_fused, config))


class LoopEngine:
    """One episode at a time through torch.autograd, each graph freed before the next is built."""

    def __init__(self, config: TrialConfig, model: Model) -> None:
        self._outcome = outcome_of(config, model, graph_gradient)
        self._scores = scores_of(config, model, graph_gradient)

    def meta_gradient(
        self,
        params: Params,
        episodes: list[Episode],
        inner_lr: Tensor,
        alive: list[bool],
        weights: Tensor | None = None,
    ) -> MetaGradient:
        """See Engine."""
        outcome = self._outcome if weights is None else partial(self._outcome, weights=weights.tolist())
        return run_by_run(partial(mean_gradient, outcome), params, episodes, inner_lr, alive)

    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], scored: Sequence[int]
    ) -> Tensor:
        """See Engine."""
        count = len(episodes[0].support_labels)
        counts = torch.zeros(len(alive), count, len(scored), dtype=torch.int64, device=inner_lr.device)
        for run in living(alive):
            own = {name: value[run] for name, value in params.items()}
            for e in range(count):
                counts[run, e] = self._scores(own, episodes[run].at(e), float(inner_lr[run]), scored)
        return counts


def mean_gradient(
    outcome: Callable[[Params, Episode, Rate], QueryOutcome], params: Params, episodes: Episode, lr: Rate
) -> MetaGradient:
    """Return the mean of `outcome` and of its gradient over the stack `episodes`, for one run (no axis R)."""
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    total = {name: torch.zeros_like(value) for name, value in leaves.items()}
    loss = accuracy = torch.zeros((), dtype=next(iter(leaves.values())).dtype, device=episodes.support_labels.device)
    count = len(episodes.support_labels)
    for e in range(count):
        found = outcome(leaves, episodes.at(e), lr)
        grads = torch.autograd.grad(
            found.objective / count, list(leaves.values()), allow_unused=True, materialize_grads=True
        )
        for name, grad in zip(leaves, grads, strict=True):
            total[name] += grad
        loss, accuracy = loss + found.loss / count, accuracy + found.accuracy / count
    return MetaGradient(total, loss, accuracy)


class VmapEngine:
    """All episodes of all runs at once through torch.func; the affine part of batch norm stays outside (exactness)."""

    def __init__(self, config: TrialConfig, convolve: Convolve = F.conv2d) -> None:
        self._model = build_model(config, vectorised=True, convolve=convolve)
        self._outcome = outcome_of(config, self._model, transform_gradient)
        self._scores = scores_of(config, self._model, transform_gradient)

    def meta_gradient(
        self,
        params: Params,
        episodes: list[Episode],
        inner_lr: Tensor,
        alive: list[bool],
        weights: Tensor | None = None,
    ) -> MetaGradient:
        """See Engine."""

        def run_objective(own: Params, stack: Episode, lr: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            found = torch.func.vmap(lambda episode: self._outcome(own, episode, lr, weights))(stack)
            return found.objective.mean(), (found.loss.mean(), found.accuracy.mean())

        gradient_of_run = torch.func.grad(run_objective, has_aux=True)
        gradient, (loss, accuracy) = torch.func.vmap(gradient_of_run)(params, _stacked(episodes), inner_lr)
        return MetaGradient(gradient, loss, accuracy)

    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], scored: Sequence[int]
    ) -> Tensor:
        """See Engine."""

        def run_counts(own: Params, stack: Episode, lr: Tensor) -> Tensor:
            return torch.func.vmap(lambda episode: self._scores(own, episode, lr, scored))(stack)

        return torch.func.vmap(run_counts)(params, _stacked(episodes), inner_lr)


def _stacked(episodes: list[Episode]) -> Episode:
    """Return R stacks of E episodes as one with leading axes (R, E)."""
    return Episode(*(torch.stack(parts) for parts in zip(*episodes, strict=True)))
