"""The paper's equations a second time, term by term as printed, to check `trainers.maml.methods.contrastive`.

Nothing here shares code with that module. Sums over queries, support images and inner steps are loops over pairs, and
the head's bias is written out, not one more column.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainers.maml.config import Order
from trainers.maml.episodes import Episode
from trainers.maml.theory.cases import (
    Case,
    HeadStart,
    case,
    distance,
    explicit_objective,
    holds,
    largest,
    of_encoder,
    worst,
)
from trainers.maml.theory.claim import Claim, Setting


class Form(NamedTuple):
    """Which equation: its order, whether the coefficient is that of Eqs. 9 and 10, and what of Eq. 8 is kept.

    `live` lets s move with phi(s) (Eq. 8 made exact); `one` adds 1 to phi(s).phi(q) where the head has a bias.
    """

    order: Order
    reduced: bool = False
    live: bool = False
    one: bool = True


class Features(NamedTuple):
    """One episode's features, the head it starts from, and `path`: s of each support image before each inner step."""

    support: Tensor  # (S, D)
    query: Tensor  # (T, D)
    weight: Tensor  # (N, D)
    bias: Tensor  # (N,)
    path: list[Tensor]  # (S, N) each
    adapted: Tensor  # (T, N), q


def double_sum(at: Case, episode: Episode, form: Form) -> Tensor:
    """Return the encoder's loss of one episode: Eqs. 7 to 10 by `form`, a mean over pairs; several inner steps sum."""
    phi = features(at, episode)
    one = float("head.bias" in at.params and form.one)
    total = torch.zeros((), dtype=phi.query.dtype)
    for q, query, u in zip(phi.adapted, phi.query, episode.query_labels, strict=True):
        if not form.reduced:
            total = total + ((q - hot(u, q)) * (phi.weight @ query + phi.bias)).sum()
        for i, t in enumerate(episode.support_labels):
            support = phi.support[i].detach() if form.order == "first" else phi.support[i]
            for before in phi.path:
                s = torch.softmax(phi.weight @ support + phi.bias, dim=0) if form.live else before[i]
                same = float(t == u)
                c = q[t] - same if form.reduced else -(q * s).sum() + s[u] + q[t] - same
                total = total + at.config.inner_lr * c * (support @ query + one) / len(phi.support)
    return total / len(phi.query)


def features(at: Case, episode: Episode) -> Features:
    """Return the features of `episode`, live, and the softmaxes along the head's own inner steps, stopped."""
    support = at.model.support_features(at.params, episode)
    query = at.model.query_features(at.params, episode)
    weight = at.params["head.weight"].detach()
    bias = at.params["head.bias"].detach() if "head.bias" in at.params else torch.zeros_like(weight[:, 0])
    fast, shift, path = weight, bias, []
    for _ in range(at.config.inner_steps):
        path.append(torch.softmax(support.detach() @ fast.T + shift, dim=1))
        miss = [hot(t, s) - s for t, s in zip(episode.support_labels, path[-1], strict=True)]
        pull = sum(torch.outer(m, phi) for m, phi in zip(miss, support.detach(), strict=True))
        fast = fast + at.config.inner_lr * pull / len(support)
        shift = shift + at.config.inner_lr * sum(miss) / len(support) if "head.bias" in at.params else shift
    adapted = torch.softmax(query.detach() @ fast.T + shift, dim=1)
    return Features(support, query, weight, bias, path, adapted)


def hot(label: Tensor, like: Tensor) -> Tensor:
    """Return `label` as a one-hot vector of the size of `like` (N,)."""
    return (torch.arange(len(like)) == label).to(like.dtype)


def agreement(setting: Setting) -> list[Claim]:
    """Return one row per equation: `maml.methods.contrastive` has the value and the gradient of the double sum."""
    reduced = {"interference": False, "coefficient": "reduced"}
    readings: tuple[tuple[str, HeadStart, int, Form, dict[str, Any]], ...] = (
        ("Eq. 7", "random", 1, Form("first"), {}),
        ("Eq. 7", "random", 5, Form("first"), {}),
        ("Eq. 8 as printed", "random", 1, Form("second"), {"form": "printed"}),
        ("Eq. 8 with q alone stopped", "random", 1, Form("second", live=True), {}),
        ("Eq. 9", "zero", 1, Form("first", reduced=True), reduced),
        ("Eq. 10", "zero", 1, Form("second", reduced=True), reduced),
    )
    return [
        holds(
            f"The trainer's explicit objective is {name}, written as a plain double sum over pairs.",
            f"paper, {' '.join(name.split()[:2])}",
            f"value and encoder gradient, worst, {steps} inner step{'s' * (steps > 1)}, bias, unbalanced, 1 episode",
            _apart(case(setting, start, balanced=False, inner_steps=steps, head_bias=True), form, how),
        )
        for name, start, steps, form, how in readings
    ]


def _apart(whole: Case, form: Form, how: dict[str, Any]) -> float:
    at = whole._replace(episodes=whole.episodes[:1])
    # Eq. 5 moves the head alone; without it the objective is the encoder's loss, value and all.
    trainer = explicit_objective(form.order, head_update="released", **how)

    def pairs(own: Case, episode: Episode) -> Tensor:
        return double_sum(own, episode, form)

    value = distance(trainer(at, at.episodes[0]), pairs(at, at.episodes[0]))
    return largest([value, worst(of_encoder(at.gradient(trainer)), of_encoder(at.gradient(pairs)))])


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (agreement,)
