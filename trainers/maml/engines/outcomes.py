"""Which function of one episode gives a config's outer gradient, and which its scores. Computes nothing itself."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from trainers.maml.adapt import Adaptation, Gradient, QueryOutcome, adapted_names, correct_counts, query_outcome
from trainers.maml.config import Order, TrialConfig
from trainers.maml.engines.engine import evaluation_algorithm
from trainers.maml.episodes import Episode
from trainers.maml.methods.contrastive import Explicit, explicit_outcome
from trainers.maml.methods.implicit import implicit_outcome
from trainers.maml.methods.multi_step import Weights, weighted_outcome
from trainers.maml.methods.reptile import reptile_outcome
from trainers.maml.model import Model
from trainers.maml.networks import Params
from trainers.maml.rates import rates_of

Rate = float | Tensor
Scores = Callable[[Params, Episode, Rate, Sequence[int]], Tensor]


class Outcome(Protocol):
    """Gives the outcome of one training episode, by the inner learning rate `lr` where it is not learned.

    `weights` are for `query_losses: every_step`.
    """

    def __call__(self, params: Params, episode: Episode, lr: Rate, weights: Weights | None = None) -> QueryOutcome: ...


def outcome_of(config: TrialConfig, model: Model, inner: Callable[[Order], Gradient]) -> Outcome:
    """Return the outcome of one training episode under the algorithm of `config`."""

    def explicit(params: Params, episode: Episode, lr: Rate, weights: Weights | None = None) -> QueryOutcome:
        how = Explicit(
            order=config.order,
            steps=config.inner_steps,
            lr=lr,
            interference=config.interference,
            coefficient=config.coefficient,
            form=config.second_order_form,
            head_update=config.head_update,
        )
        return explicit_outcome(model, params, episode, how)

    def adapted(params: Params, episode: Episode, lr: Rate, weights: Weights | None = None) -> QueryOutcome:
        how = Adaptation(
            adapted_names(config.algorithm, params),
            config.inner_steps,
            lr,
            inner(config.order),
            rates_of(config, params),
        )
        if weights is None:
            return query_outcome(model, params, episode, how)
        return weighted_outcome(model, params, episode, how, weights)

    def reptile(params: Params, episode: Episode, lr: Rate, weights: Weights | None = None) -> QueryOutcome:
        how = Adaptation(adapted_names("reptile", params), config.inner_steps, lr, inner("first"))
        shots = config.reptile_shots or config.shots
        return reptile_outcome(model, params, episode, how, ways=config.ways, shots=shots)

    def implicit(params: Params, episode: Episode, lr: Rate, weights: Weights | None = None) -> QueryOutcome:
        names = adapted_names("imaml", params)
        how = Adaptation(names, config.inner_steps, lr, inner("first"), proximal=config.proximal)
        return implicit_outcome(model, params, episode, how, through=inner("second"), cg_steps=config.cg_steps)

    own: dict[str, Outcome] = {"contrastive": explicit, "reptile": reptile, "imaml": implicit}
    return own.get(config.algorithm, adapted)


def scores_of(config: TrialConfig, model: Model, inner: Callable[[Order], Gradient]) -> Scores:
    """Return (params, episode, inner lr, inner steps to score after) -> queries right after each, at evaluation."""
    algorithm = evaluation_algorithm(config)
    proximal = config.proximal if config.algorithm == "imaml" else 0.0

    def scores(params: Params, episode: Episode, lr: Rate, scored: Sequence[int]) -> Tensor:
        names = adapted_names(algorithm, params)
        how = Adaptation(names, max(scored), lr, inner("first"), rates_of(config, params), proximal)
        return correct_counts(model, params, episode, how, scored)

    return scores
