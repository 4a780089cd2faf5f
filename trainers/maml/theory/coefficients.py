"""Signs and shares of the contrastive coefficients: what makes MAML a supervised contrastive learner, or a noisy one.

The coefficient c of a (support, query) pair is summed over the inner steps. The network is as initialised, because the
shares with a random head depend on the parameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.maml.episodes import Episode
from trainers.maml.methods.contrastive import (
    Explicit,
    HeadPath,
    coefficients,
    contrastive_loss,
    extended,
    head_of,
    head_path,
    interference_loss,
)
from trainers.maml.model import one_hot
from trainers.maml.theory.cases import Case, HeadStart, case, fails, holds, informs, largest, of_encoder
from trainers.maml.theory.claim import Claim, Setting


class Pairs(NamedTuple):
    """All (support, query) pairs of one episode: `coefficient` (S, T), whether classes are the `same` (S, T)."""

    coefficient: Tensor
    same: Tensor
    identity: Tensor  # (S, T): -sum_{j != u} q_j s_j - (1 - q_u)(1 - s_u) with u the query's class

    def wrong(self) -> tuple[Tensor, Tensor]:
        """Return which pairs of different classes have c <= 0, and which of one class have c >= 0."""
        return self.coefficient[~self.same] <= 0, self.coefficient[self.same] >= 0


def same_class(setting: Setting) -> list[Claim]:
    """Return the claims about the sign of same-class coefficients, and the identity from which it follows."""
    negative = "The coefficient of a same-class pair is always negative, whatever the head and the number of steps."
    identity = "A same-class coefficient is -sum_{j != u} q_j s_j - (1 - q_u)(1 - s_u), summed over the inner steps."
    rows = []
    starts: tuple[tuple[HeadStart, int], ...] = (("random", 1), ("random", 5), ("zero", 1))
    for head, steps in starts:
        found = _all_pairs(setting, head, steps)
        wrong = torch.cat([pairs.wrong()[1] for pairs in found])
        apart = largest(float((p.coefficient - p.identity)[p.same].abs().max()) for p in found)
        where = f"{len(wrong)} same-class pairs, {head} head, {steps} inner step{'s' * (steps > 1)}"
        rows.append(holds(negative, "paper, Eq. 7", f"share that isn't, {where}", _share(wrong), 0.0))
        rows.append(holds(identity, "this project", f"largest absolute difference, {where}", apart))
    return rows


def shares(setting: Setting) -> list[Claim]:
    """Return the claims about the shares of positive and negative coefficients (Fig. 9)."""
    zero, random = _all_pairs(setting, "zero", 1), _all_pairs(setting, "random", 1)
    ways = setting.config.ways
    count = sum(pairs.same.numel() for pairs in zero)
    positive, negative = (sum(int((sign * p.coefficient > 0).sum()) for p in zero) for sign in (1, -1))
    off = max(abs(positive * ways - count * (ways - 1)), abs(negative * ways - count)) / (count * ways)
    every = torch.cat([pairs.coefficient.flatten() for pairs in random])
    different = torch.cat([pairs.coefficient[~pairs.same] for pairs in random])
    exactly = "With a zero head and one step, exactly 1 - 1/N of the coefficients are positive and 1/N negative."
    pairs_of = "the share itself, {} pairs, 1 inner step, head as initialised"
    return [
        holds(
            exactly, "paper, Fig. 9", f"difference of the shares, {count} pairs, N = {ways}, balanced queries", off, 0.0
        ),
        _informs("With a random head, this share of all coefficients is positive.", pairs_of, every > 0),
        _informs(
            "With a random head, this share of the different-class coefficients is negative.", pairs_of, different < 0
        ),
    ]


def definition_1(setting: Setting) -> list[Claim]:
    """Return Definition 1: contrastive if all signs are right and nothing else depends on the samples, else noisy."""
    rows = []
    expected: tuple[tuple[HeadStart, Callable[..., Claim], str], ...] = (
        ("zero", holds, "paper, Corollary 1"),
        ("random", fails, "paper, Theorem 1 (control)"),
    )
    for head, claim, source in expected:
        wrong = torch.cat([part for pairs in _all_pairs(setting, head, 1) for part in pairs.wrong()])
        signs = f"With a {head} head no same-class c is >= 0 and no different-class c <= 0 (Definition 1), one step."
        rows.append(claim(signs, source, f"share of {len(wrong)} pairs with the wrong sign", _share(wrong), 0.0))
        moves = (
            f"With a {head} head the interference term leaves the encoder alone, as Definition 1 asks of a constant."
        )
        size = _interference(case(setting, head, biases="initial", inner_steps=1))
        rows.append(claim(moves, source, "norm of its encoder gradient, the contrastive term's being 1", size, 0.0))
    return rows


def _all_pairs(setting: Setting, head: HeadStart, steps: int) -> list[Pairs]:
    at = case(setting, head, biases="initial", inner_steps=steps)
    return [_pairs(at, episode) for episode in at.episodes]


def _pairs(at: Case, episode: Episode) -> Pairs:
    path, residual, _ = _path(at, episode)
    found = coefficients(episode.support_labels, residual, path, "full")
    target = one_hot(episode.query_labels, residual)  # (T, N)
    chance = residual + target  # q
    s_other = torch.einsum("psj,tj->st", path.support, chance * (1 - target))
    s_missed = torch.einsum("psj,tj->st", 1 - path.support, target)
    missed = 1 - (chance * target).sum(dim=1)
    same = episode.support_labels[:, None] == episode.query_labels
    return Pairs(found.detach(), same, (-s_other - missed * s_missed).detach())


def _path(at: Case, episode: Episode) -> tuple[HeadPath, Tensor, Tensor]:
    """Return the head's inner loop, q - 1{u}, and the live query features with their constant."""
    support = extended(at.model.support_features(at.params, episode), at.params).detach()
    query = extended(at.model.query_features(at.params, episode), at.params)
    head = head_of(at.params).detach()
    steps, rate = at.config.inner_steps, at.config.inner_lr
    path = head_path(support, query.detach(), head, episode.support_labels, steps, rate)
    return path, path.residual(episode.query_labels), query


def _interference(at: Case) -> float:
    """Return the norm of the encoder gradient of Eq. 7's first term, relative to that of its second."""

    def first(own: Case, episode: Episode) -> Tensor:
        _, residual, query = _path(own, episode)
        return interference_loss(head_of(own.params).detach(), query, residual)

    def second(own: Case, episode: Episode) -> Tensor:
        path, residual, query = _path(own, episode)
        support = extended(own.model.support_features(own.params, episode), own.params)
        how = Explicit("first", own.config.inner_steps, own.config.inner_lr)
        head = head_of(own.params).detach()
        return contrastive_loss(support, head, query, episode.support_labels, residual, path, how)

    norms = [
        torch.cat([g.flatten() for g in of_encoder(at.gradient(term)).values()]).norm() for term in (first, second)
    ]
    return float(norms[0] / norms[1])


def _share(which: Tensor) -> float:
    return int(which.sum()) / which.numel()


def _informs(statement: str, computed: str, which: Tensor) -> Claim:
    return informs(statement, "paper, Fig. 9", computed.format(len(which)), _share(which))


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (same_class, shares, definition_1)
