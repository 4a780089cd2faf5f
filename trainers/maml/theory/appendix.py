"""Three misprints in the paper's appendix on several inner steps, first order: only their corrections hold.

Eq. 22 has the wrong sign before eta, Eq. 25 writes 1{i=u} where the inner step has 1{i=t}, and Eq. 26 is the negative
of the loss whose gradient it should have.
"""

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapt_to, adapted_names, graph_gradient
from trainers.maml.episodes import Episode
from trainers.maml.model import one_hot
from trainers.maml.theory.cases import (
    Case,
    case,
    distance,
    fails,
    holds,
    largest,
    of_encoder,
    true_objective,
    worst,
)
from trainers.maml.theory.claim import Claim, Setting
from trainers.maml.theory.printed import Features, Form, double_sum, features, hot

STEPS = 5
CONDITIONS = f"{STEPS} inner steps, random head, no bias"


def adapted_head(setting: Setting) -> list[Claim]:
    """Return Eq. 22: the head after several inner steps, written as one sum."""
    at = _case(setting)
    corrected, printed = [], []
    for episode in at.episodes:
        true = adapted(at, episode) - at.params["head.weight"]
        moved = _movement(at, one_hot(episode.support_labels, at.params["head.weight"].T), features(at, episode))
        corrected.append(distance(moved, true))
        printed.append(distance(-moved, true))
    statement = "Without a bias, the head after n inner steps is w_k {} eta sum_p E_S[(1{{k=t}} - s_k^(p-1)) phi(s)]."
    computed = f"displacement of the head, {CONDITIONS}"
    return [
        holds(statement.format("+"), "paper, Eq. 22 (sign corrected)", computed, largest(corrected)),
        fails(statement.format("-"), "paper, Eq. 22 (as printed)", computed, largest(printed)),
    ]


def feature_gradient(setting: Setting) -> list[Claim]:
    """Return Eq. 25: minus the gradient of a query's loss at its features."""
    at = _case(setting)
    errors = [_feature_errors(at, episode) for episode in at.episodes]
    statement = "-dL/dphi(q) = sum_i (1{{i=u}} - q_i) (w_i + eta sum_p E_S[({} - s_i^(p-1)) phi(s)]) without a bias."
    computed = f"gradient at the query features, {CONDITIONS}"
    corrected, printed = (largest(of_reading) for of_reading in zip(*errors, strict=True))
    return [
        holds(statement.format("1{i=t}"), "paper, Eq. 25 (1{i=t} restored)", computed, corrected),
        fails(statement.format("1{i=u}"), "paper, Eq. 25 (as printed)", computed, printed),
    ]


def explicit_loss(setting: Setting) -> list[Claim]:
    """Return Eq. 26: the loss whose encoder gradient is that of several inner steps."""
    at = _case(setting)
    true = of_encoder(at.gradient(true_objective("first")))
    found = of_encoder(at.gradient(lambda own, episode: double_sum(own, episode, Form("first"))))
    negative = {name: -value for name, value in found.items()}
    corrected = "FOMAML's explicit loss for n inner steps (EFIL) is Eq. 7 with its coefficient summed over the steps."
    printed = "FOMAML's explicit loss for n inner steps (EFIL) is the negative of Eq. 7 with that sum."
    computed = f"encoder gradient, worst tensor, {CONDITIONS}"
    return [
        holds(corrected, "paper, Eq. 26 (sign corrected)", computed, worst(found, true)),
        fails(printed, "paper, Eq. 26 (as printed)", computed, worst(negative, true)),
    ]


def adapted(at: Case, episode: Episode) -> Tensor:
    """Return the head's weight (N, D) after the inner loop."""
    how = Adaptation(adapted_names("anil", at.params), STEPS, at.config.inner_lr, graph_gradient("first"))
    return adapt_to(at.model, at.params, episode, how)[-1]["head.weight"]


def _case(setting: Setting) -> Case:
    return case(setting, "random", inner_steps=STEPS, head_bias=False)


def _movement(at: Case, target: Tensor, phi: Features) -> Tensor:
    """Return eta sum_p E_S[(target_k - s_k^(p-1)) phi(s)], (N, D); `target` is (S, N) or (N,)."""
    total = reduce(torch.add, [(target - before).T @ phi.support.detach() for before in phi.path])
    return at.config.inner_lr * total / len(phi.support)


def _feature_errors(at: Case, episode: Episode) -> tuple[float, float]:
    """Return the errors of Eq. 25, corrected and as printed, against autograd at the inner loop's own head."""
    phi = features(at, episode)
    leaf = phi.query.detach().requires_grad_()
    loss = F.cross_entropy(leaf @ adapted(at, episode).detach().T, episode.query_labels, reduction="sum")
    (slope,) = torch.autograd.grad(loss, leaf)
    own = _movement(at, one_hot(episode.support_labels, phi.weight.T), phi)
    corrected, printed = [], []
    for u, q in zip(episode.query_labels, phi.adapted, strict=True):
        corrected.append((hot(u, q) - q) @ (phi.weight + own))
        printed.append((hot(u, q) - q) @ (phi.weight + _movement(at, hot(u, q), phi)))
    return distance(torch.stack(corrected), -slope), distance(torch.stack(printed), -slope)


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (adapted_head, feature_gradient, explicit_loss)
