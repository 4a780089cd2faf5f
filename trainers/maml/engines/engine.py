"""What every engine offers: outer gradients and scores of all runs of a pack. Computes nothing itself."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.episodes import Episode
from trainers.maml.method_fields import Algorithm
from trainers.maml.networks import Params


class MetaGradient(NamedTuple):
    """Mean over episodes, for each of R runs: `gradient` (R, ...), `loss` (R,) in nats, `accuracy` (R,) in [0, 1]."""

    gradient: Params
    loss: Tensor
    accuracy: Tensor


class Engine(Protocol):
    """One way to map the maths over episodes and runs.

    `params` are stacked on R; `episodes` has one stack of E episodes per run; `inner_lr` is (R,); runs that are not
    in `alive` may be skipped and their results are meaningless. `weights` (inner_steps,) are those of the query losses
    after each inner step, for `query_losses: every_step` alone.
    """

    def meta_gradient(
        self,
        params: Params,
        episodes: list[Episode],
        inner_lr: Tensor,
        alive: list[bool],
        weights: Tensor | None = None,
    ) -> MetaGradient: ...

    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], scored: Sequence[int]
    ) -> Tensor:
        """Return integers (R, E, len(scored)): query images right after each number of inner steps in `scored`."""


OfRun = Callable[[Params, Episode, float], MetaGradient]
"""(parameters, stack of E episodes, inner learning rate) of one run -> its mean, without the axis R."""


def run_by_run(
    of_run: OfRun, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool]
) -> MetaGradient:
    """Return the stacked result of `of_run` for each living run; the others have zeros."""
    gradient = {name: torch.zeros_like(value) for name, value in params.items()}
    losses, accuracies = torch.zeros_like(inner_lr), torch.zeros_like(inner_lr)
    for run in living(alive):
        own = {name: value[run] for name, value in params.items()}
        mean = of_run(own, episodes[run], float(inner_lr[run]))
        for name, grad in mean.gradient.items():
            gradient[name][run] = grad
        losses[run], accuracies[run] = mean.loss, mean.accuracy
    return MetaGradient(gradient, losses, accuracies)


def living(alive: Sequence[bool]) -> list[int]:
    """Return the numbers of the runs that are alive."""
    return [run for run, lives in enumerate(alive) if lives]


def evaluation_algorithm(config: TrialConfig) -> Algorithm:
    """Return the algorithm by which evaluations adapt: that of the training, or the one that `eval_adapts` names."""
    trained: dict[str, Algorithm] = {"all": "maml", "head": "anil"}
    return config.algorithm if config.eval_adapts is None else trained[config.eval_adapts]
