"""Eqs. 7, 9 and 10 summed over the support first: the algebra of MAML's autograd, in its order of evaluation.

The equations are sums over (support, query) pairs, so a program that adds up pairs agrees with MAML only to rounding.
Summed over the support first, they are the inner product of each query's features with the head after one step, and
MAML computes the same products and sums. The mean over episodes keeps all bits because there are two.

Shape letters: S support images, T query images, N ways, D features.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainers.maml.adapt import QueryOutcome
from trainers.maml.config import Order, TrialConfig
from trainers.maml.engines.adam import adam_step, corrections, no_moments
from trainers.maml.engines.engines import episode_model, mean_gradient
from trainers.maml.engines.outcomes import Rate
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.model import Loss, Model
from trainers.maml.networks import HEAD, Params, classify, initial_params, zero_head
from trainers.maml.theory.claim import Claim, Setting
from trainers.maml.theory.trainings import BITS, ENGINE, ORDERS, RANDOM, ZEROED, Training, trained

FORM = "summed over the support first"


def support_first(model: Model, params: Params, episode: Episode, order: Order, lr: Rate) -> Tensor:
    """Return the scalar sum of sg[dL_Q/dlogits] * (w1 . phi(q) + b1), w1 the head after one step of size `lr`.

    With the step's sg[dL_S/dlogits] (1/N - 1{k=t}) / S at a zero head, the sum over classes leaves Eq. 9 where
    `order` stops the support's features and Eq. 10 where it doesn't. At any other head, first order is Eq. 7 with the
    head by Eq. 5. Second order is Eq. 8 as printed, which isn't exact: dL_S/dlogits depends on the features.
    """
    support = model.support_features(params, episode)
    pull = logit_gradient(model.loss, classify(params, support), episode.support_labels)  # (S, N)
    slope = {
        "head.weight": pull.T @ (support.detach() if order == "first" else support),
        "head.bias": pull.sum(dim=0),
    }
    adapted = {name: params[name] - lr * slope[name] for name in HEAD if name in params}
    logits = classify(adapted, model.query_features(params, episode))
    return (logit_gradient(model.loss, logits, episode.query_labels) * logits).sum()


def logit_gradient(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient (B, N) of `loss` at `logits` (B, N) as a constant, with the rounding of torch's backward."""
    leaf = logits.detach().requires_grad_()
    return torch.autograd.grad(loss(leaf, labels), leaf)[0]


def trained_support_first(setting: Setting, config: TrialConfig) -> Training:
    """Return a training by `support_first` with the start, episodes, rates and zeroing of `config`."""
    model = episode_model(ENGINE[setting.pixels.device.type], config)  # as `trained` does
    params = {name: value[None] for name, value in initial_params(config).items()}  # one run: R = 1
    moments = no_moments(params)
    lr, alive = torch.tensor([config.outer_lr], dtype=getattr(torch, config.dtype)), torch.tensor([True])
    for step in range(config.outer_steps):
        if config.zero_head_every and step % config.zero_head_every == 0:
            params = zero_head(params)
        episodes = gather(training_draw(config, step), setting.pixels, config)
        gradient = meta_gradient(model, params, episodes, config)
        params, moments = adam_step(
            params, moments, gradient, corrections=corrections(step + 1, 1, lr.dtype), lr=lr, alive=alive
        )
    return Training(config, {name: value[0] for name, value in params.items()})


def meta_gradient(model: Model, params: Params, episodes: Episode, config: TrialConfig) -> Params:
    """Return the gradient of the mean of `support_first` over the stack `episodes`; all parameters have R = 1."""

    def outcome(own: Params, episode: Episode, lr: Rate) -> QueryOutcome:
        objective = support_first(model, own, episode, config.order, lr)
        return QueryOutcome(objective, objective.detach(), torch.zeros_like(objective))

    own = {name: value[0] for name, value in params.items()}
    return {name: grad[None] for name, grad in mean_gradient(outcome, own, episodes, config.inner_lr).gradient.items()}


def zeroed_head(setting: Setting) -> list[Claim]:
    """Return the rows for a head zeroed at every step: Eqs. 9 and 10 train full MAML's encoder, to the bit."""
    claims = []
    for order, equation in zip(ORDERS, ("Eq. 9", "Eq. 10"), strict=True):
        for bias in (True, False):
            maml = trained(setting, ZEROED, {"order": order, "head_bias": bias, "algorithm": "maml"})
            claims.append(
                Claim(
                    statement=f"Head {'with' if bias else 'without'} a bias, zeroed every step, {order} order, one "
                    f"inner step: {equation} {FORM} trains full MAML's encoder, bit for bit.",
                    source="ours, Corollary 1 without EFIL",
                    computed=BITS,
                    error=trained_support_first(setting, maml.config).differing(maml, "encoder"),
                    bound=0,
                )
            )
    return claims


def random_head(setting: Setting) -> list[Claim]:
    """Return the rows for a random head in first order: Eq. 7 trains the encoder of ANIL, not of full MAML."""
    claims = []
    for algorithm, words in (("anil", "ANIL's"), ("maml", "full MAML's")):
        other = trained(setting, RANDOM, {"order": "first", "algorithm": algorithm})
        claims.append(
            Claim(
                statement=f"Random head, first order, one inner step: Eq. 7 {FORM}, with the head by Eq. 5, trains "
                f"{words} encoder, bit for bit.",
                source="Theorem 1" if algorithm == "anil" else "ours, control",
                computed=BITS,
                error=trained_support_first(setting, other.config).differing(other, "encoder"),
                bound=0,
                should="hold" if algorithm == "anil" else "fail",
            )
        )
    return claims


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (zeroed_head, random_head)
