"""The paper's outer gradients against autograd of the real query loss, through the real encoder.

The encoder is always frozen in the inner loop (EFIL). Batch norm runs over the whole query batch, so the encoder claims
are about the gradient of all queries together.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from trainers.maml.config import Order
from trainers.maml.episodes import Episode
from trainers.maml.networks import HEAD, Params
from trainers.maml.theory.cases import (
    Case,
    case,
    explicit_objective,
    fails,
    holds,
    largest,
    of_encoder,
    of_head,
    true_objective,
    worst,
)
from trainers.maml.theory.claim import Claim, Setting
from trainers.maml.theory.printed import Form, double_sum, features, hot

SLIGHT = 1e-5
"""The error that a missing + 1 must exceed: a small share of the gradient, yet nine digits above rounding."""

REDUCED: dict[str, Any] = {"interference": False, "coefficient": "reduced", "form": "printed"}


def head_first_order(setting: Setting) -> list[Claim]:
    """Return Eq. 5, by its formula and by the trainer's objective."""
    statement = "The head's first-order gradient is E_Q[(q_k - 1{k=u}) phi(q)]; a bias is a feature that is always 1."
    rows = []
    for steps, bias, balanced in ((1, False, True), (2, True, True), (5, True, False)):
        at = case(setting, "random", balanced=balanced, inner_steps=steps, head_bias=bias)
        true = of_head(at.gradient(true_objective("first")))
        found = _mean_slope(at, _residual_slope), of_head(at.gradient(explicit_objective("first")))
        error = largest(worst(gradient, true) for gradient in found)
        rows.append(holds(statement, "paper, Eq. 5", f"head gradient, formula and trainer, {_of(at, balanced)}", error))
    return rows


def first_order(setting: Setting) -> list[Claim]:
    """Return Eq. 7 for several inner steps, with and without a bias, balanced or not; and without a term."""
    statement = "Eq. 7 has FOMAML's encoder gradient (EFIL) with any head and any number of inner steps, bias or not."
    unequal = "Eq. 7 has FOMAML's encoder gradient (EFIL) for an unbalanced support set too."
    dropped = "Eq. 7 without its interference term has FOMAML's encoder gradient (EFIL) with a random head."
    rows = []
    for steps in (1, 2, 5):
        for bias in (False, True):
            at = case(setting, "random", inner_steps=steps, head_bias=bias)
            rows.append(holds(statement, "paper, Eq. 7", *_compared(at, "first")))
    at = case(setting, "random", balanced=False, inner_steps=5, head_bias=True)
    rows.append(holds(unequal, "paper, Eq. 7", *_compared(at, "first", balanced=False)))
    at = case(setting, "random", inner_steps=1)
    rows.append(fails(dropped, "this project", *_compared(at, "first", interference=False)))
    return rows


def zeroed(setting: Setting) -> list[Claim]:
    """Return Eqs. 9 and 10 where they hold, and the conditions they need."""
    rows = [*_zeroed(setting, "Eq. 9", "first", "FOMAML"), *_zeroed(setting, "Eq. 10", "second", "SOMAML")]
    at = case(setting, "bias alone", inner_steps=1, head_bias=True)
    shift = [name for name in at.params if name.startswith("norm") and name.endswith(".bias")][-1]
    unshifted = {shift: torch.zeros_like(at.params[shift]).requires_grad_()}
    at = at._replace(params=at.params | unshifted)
    # q.s - s_u no longer depends on the support image, so its sum over phi(s) is that of the mean feature.
    centred = "Eq. 9 has FOMAML's encoder gradient (EFIL) with weight zero and bias not, if phi(s) has mean zero."
    return [*rows, holds(centred, "this project", *_compared(at, "first", **REDUCED))]


def _zeroed(setting: Setting, name: str, order: Order, algorithm: str) -> list[Claim]:
    gives = f"{name} has {algorithm}'s encoder gradient (EFIL)"
    rows = []
    for also, balanced in (("", True), (", unbalanced support too", False)):
        at = case(setting, "zero", balanced=balanced, inner_steps=1, head_bias=True)
        statement = f"{gives} with one inner step and weight and bias zero{also}."
        rows.append(holds(statement, f"paper, {name}", *_compared(at, order, balanced=balanced, **REDUCED)))
    at = case(setting, "zero", inner_steps=2, head_bias=True)
    rows.append(
        fails(f"{gives} at two inner steps from a zero head.", "this project", *_compared(at, order, **REDUCED))
    )
    at = case(setting, "bias alone", inner_steps=1, head_bias=True)
    kept = f"{gives} with one inner step, weight zero and bias not zero."
    return [*rows, fails(kept, "this project", *_compared(at, order, **REDUCED))]


def second_order(setting: Setting) -> list[Claim]:
    """Return Eq. 8 as printed and in its exact form, and the + 1 that a bias needs."""
    gives = "has SOMAML's encoder gradient (EFIL)"
    rows = []
    for bias in (False, True):
        at = case(setting, "random", inner_steps=1, head_bias=bias)
        printed = f"Eq. 8 (coefficient stopped) {gives} with one inner step and a random head."
        rows.append(fails(printed, "paper, Eq. 8 (as printed)", *_compared(at, "second", form="printed")))
        exact = f"Eq. 8 with q alone stopped, and phi(s).phi(q) + 1 for a bias, {gives}, one step, random head."
        rows.append(holds(exact, "this project", *_compared(at, "second")))
    form = Form("second", live=True, one=False)
    found = at.gradient(lambda own, episode: double_sum(own, episode, form))
    missing = worst(of_encoder(found), of_encoder(at.gradient(true_objective("second"))))
    statement = f"Eq. 8 with q alone stopped, but no + 1, {gives}, one step, head with a bias."
    computed = f"encoder gradient of the double sum, worst tensor, {_of(at)}"
    return [*rows, fails(statement, "this project", computed, missing, SLIGHT)]


def head_second_order(setting: Setting) -> list[Claim]:
    """Return Eq. 11 in full and Eq. 12, by their formulas and by the trainer's objective."""
    alone = "SOMAML's head gradient is [I - eta E_S s_k phi phi^T] g_k with g of Eq. 5, one step"
    full = alone.replace(" with", " + eta E_S[s_k phi phi^T sum_j s_j g_j] with")
    rows = []
    for bias in (False, True):
        at = case(setting, "random", inner_steps=1, head_bias=bias)
        true = of_head(at.gradient(true_objective("second")))
        found = _mean_slope(at, _full), of_head(at.gradient(explicit_objective("second")))
        computed = f"head gradient, worst tensor, {_of(at)}"
        error = largest(worst(gradient, true) for gradient in found)
        rows.append(holds(f"{full}.", "paper, Eq. 11", f"{computed}, formula and trainer", error))
        error = worst(_mean_slope(at, _preconditioned), true)
        rows.append(fails(f"{alone}, random head.", "this project", computed, error))
        at = case(setting, "zero", inner_steps=1, head_bias=bias)
        error = worst(_mean_slope(at, _preconditioned), of_head(at.gradient(true_objective("second"))))
        rows.append(holds(f"{alone}, zero head.", "paper, Eq. 12", computed, error))
    return rows


def _compared(at: Case, order: Order, *, balanced: bool = True, **form: Any) -> tuple[str, float]:
    """Return what is compared, and the trainer's encoder gradient against that of MAML's query loss."""
    found = of_encoder(at.gradient(explicit_objective(order, **form)))
    error = worst(found, of_encoder(at.gradient(true_objective(order))))
    return f"encoder gradient, worst tensor, {_of(at, balanced)}", error


def _of(at: Case, balanced: bool = True) -> str:
    steps = at.config.inner_steps
    parts = [f"{steps} inner step{'s' * (steps > 1)}", "bias" if "head.bias" in at.params else "no bias"]
    parts += [] if balanced else ["unbalanced"]
    return ", ".join([*parts, f"{len(at.episodes)} episodes"])


Slope = Callable[[Case, Episode], Tensor]


def _mean_slope(at: Case, slope: Slope) -> Params:
    """Return the mean over episodes of a head gradient (N, D), its bias the last column, as parameters."""
    mean = torch.stack([slope(at, episode) for episode in at.episodes]).mean(dim=0)
    count = at.params["head.weight"].shape[1]
    parts = {"head.weight": mean[:, :count], "head.bias": mean[:, -1]}
    return {name: parts[name] for name in HEAD if name in at.params}


def _residual_slope(at: Case, episode: Episode) -> Tensor:
    """Return g_k = E_Q[(q_k - 1{k=u}) phi(q)], (N, D)."""
    phi = features(at, episode)
    query = _with_one(at, phi.query)
    miss = [q - hot(u, q) for q, u in zip(phi.adapted, episode.query_labels, strict=True)]
    return reduce(torch.add, map(torch.outer, miss, query)) / len(query)


def _preconditioned(at: Case, episode: Episode) -> Tensor:
    """Return [I - eta E_S s_k phi phi^T] g_k for each k."""
    phi, slope = features(at, episode), _residual_slope(at, episode)
    support = _with_one(at, phi.support)
    outer = torch.einsum("sk,sd,se->kde", phi.path[0], support, support) / len(support)
    return slope - at.config.inner_lr * torch.einsum("kde,ke->kd", outer, slope)


def _full(at: Case, episode: Episode) -> Tensor:
    """Return Eq. 11: the preconditioned slope and the cross term eta E_S[s_k phi phi^T sum_j s_j g_j]."""
    phi, slope = features(at, episode), _residual_slope(at, episode)
    support, chance = _with_one(at, phi.support), phi.path[0]
    mixed = torch.einsum("sj,jd->sd", chance, slope)
    cross = torch.einsum("sk,sd,se,se->kd", chance, support, support, mixed) / len(support)
    return _preconditioned(at, episode) + at.config.inner_lr * cross


def _with_one(at: Case, phi: Tensor) -> Tensor:
    phi = phi.detach()
    return torch.cat([phi, torch.ones(len(phi), 1, dtype=phi.dtype)], dim=1) if "head.bias" in at.params else phi


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (
    head_first_order,
    first_order,
    zeroed,
    second_order,
    head_second_order,
)
