"""Whether accuracy depends on the order of the labels: with a zero head it doesn't, with a random head it does.

Parameters are the initial ones. Counts of correct queries are compared after every inner step; they are integers, so
equality is exact. Rounding differs between orders and could change a query whose two best classes tie to within 1e-15;
none did where these rows say "holds".
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapted_names, correct_counts, graph_gradient
from trainers.maml.episodes import Episode
from trainers.maml.method_fields import Algorithm
from trainers.maml.rng import stream
from trainers.maml.theory.cases import Case, HeadStart, case, fails, holds, informs
from trainers.maml.theory.claim import Claim, Setting

PERMUTATIONS = 10
STEPS = 3

_ALGORITHMS: tuple[tuple[Algorithm, str], ...] = (("maml", "MAML"), ("anil", "ANIL"))


def zero_head(setting: Setting) -> list[Claim]:
    """Return the invariance, for full MAML and for ANIL; NaN where no inner step changes what is right."""
    rows = []
    for algorithm, name in _ALGORITHMS:
        counts = _counts(setting, "zero", algorithm)
        statement = f"With the head zeroed, {name}'s accuracy does not depend on the order of the labels."
        computed = f"largest difference in right queries after 0 to {STEPS} steps, {_of(counts)}"
        adapts = bool((counts[..., 1:] != counts[..., :1]).any())
        error = float(_spread(counts).max()) if adapts else math.nan
        rows.append(holds(statement, "this project", computed, error, 0.0))
    return rows


def random_head(setting: Setting) -> list[Claim]:
    """Return the spread over label orders, and the control that it isn't zero."""
    rows = []
    for algorithm, name in _ALGORITHMS:
        counts = _counts(setting, "random", algorithm)
        points = 100 * _spread(counts)[:, -1].to(torch.float64) / (setting.config.ways * setting.config.queries)
        invariant = f"With a random head, {name}'s accuracy does not depend on the order of the labels."
        largest_spread = f"largest max - min of an episode in points after {STEPS} steps, {_of(counts)}"
        rows.append(fails(invariant, "this project (control)", largest_spread, float(points.max()), 0.0))
        rows.append(
            informs(
                f"With a random head, {name}'s accuracy spreads by this many points over label orders.",
                "this project",
                f"the spread itself (max - min), mean over episodes, after {STEPS} steps, {_of(counts)}",
                float(points.mean()),
            )
        )
    return rows


def permuted(episode: Episode, order: Tensor) -> Episode:
    """Return `episode` with label k renamed `order[k]`, in both sets."""
    return episode._replace(support_labels=order[episode.support_labels], query_labels=order[episode.query_labels])


def _counts(setting: Setting, head: HeadStart, algorithm: Algorithm) -> Tensor:
    """Return the numbers of correct queries, (E, permutations, steps + 1)."""
    at = case(setting, head, biases="initial", algorithm=algorithm)
    how = Adaptation(adapted_names(algorithm, at.params), STEPS, at.config.inner_lr, graph_gradient("first"))
    orders = [_order(at, n) for n in range(PERMUTATIONS)]

    def counts(episode: Episode) -> Tensor:
        return correct_counts(at.model, at.params, episode, how, range(STEPS + 1))

    return torch.stack([torch.stack([counts(permuted(episode, order)) for order in orders]) for episode in at.episodes])


def _order(at: Case, n: int) -> Tensor:
    return torch.from_numpy(stream(at.config.seed, "theory", "labels", n).random(at.config.ways).argsort(kind="stable"))


def _spread(counts: Tensor) -> Tensor:
    """Return max - min over the permutations, (E, steps + 1)."""
    return counts.amax(dim=1) - counts.amin(dim=1)


def _of(counts: Tensor) -> str:
    return f"{counts.shape[1]} orders, {counts.shape[0]} episodes"


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (zero_head, random_head)
