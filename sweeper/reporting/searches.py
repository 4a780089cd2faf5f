"""The searches of a sweep as a report reads them: from their journals to the plain data of `analysis.contract.search`.

Computes no number but the importance of dimensions, where Optuna is installed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from analysis.contract.search import Confirmed, SearchDimension, SearchFound, SearchPoint, SearchValue
from sweeper.errors import SweepError
from sweeper.search.trials import KnownSearch


def searches_found(every: Iterable[KnownSearch], *, importance: bool = True) -> list[SearchFound]:
    """Return what the searches have found so far."""
    return [_found(known, _importance(known) if importance else {}) for known in every]


def _found(known: KnownSearch, importance: Mapping[str, float]) -> SearchFound:
    search, state, spec = known.search, known.state, known.search.spec
    return SearchFound(
        search_id=search.search_id,
        name=search.name,
        labels=search.cell.labels,
        seed=search.seed,
        sampler=spec.sampler,
        trials=spec.trials,
        rungs=search.rungs,
        factor=spec.rungs.factor if spec.rungs is not None else 1,
        better=spec.better,
        metric=search.metric,
        dimensions=tuple(
            SearchDimension(one.name, one.kind, tuple(value.label for value in one.values)) for one in search.space
        ),
        points=tuple(
            SearchPoint(made.number, made.params, made.trial, made.duplicate, made.impossible)
            for made in state.proposals
        ),
        values=tuple(_values(known)),
        confirmed=tuple(_confirmed(known)),
        importance=importance,
    )


def _values(known: KnownSearch) -> Iterator[SearchValue]:
    rungs = known.search.rungs
    for heard in known.state.history:
        before = rungs[heard.rung - 1] if heard.rung else 0
        cost = 0 if heard.end == "impossible" else rungs[heard.rung] - before
        yield SearchValue(heard.number, heard.rung, rungs[heard.rung], heard.value, heard.end, cost)


def _confirmed(known: KnownSearch) -> Iterator[Confirmed]:
    of: dict[int, list[str]] = {}
    roles: dict[int, bool] = {}
    for trial in known.trials:
        if trial.role != "searched":
            of.setdefault(trial.number, []).append(trial.spec.trial_id)
            roles[trial.number] = trial.role == "confirmation"
    for number, trial_ids in of.items():
        yield Confirmed(number, tuple(trial_ids), roles[number])


def _importance(known: KnownSearch) -> Mapping[str, float]:
    """Return the importance of each dimension, empty where Optuna or what it needs is not installed."""
    from sweeper.search.optuna_asks import importance

    try:
        return importance(known.search.space, known.state, known.search.spec.better)
    except SweepError:
        return {}


def averaged(searches: Sequence[SearchFound]) -> set[str]:
    """Return the trials of all searches that may be averaged: the confirmations."""
    return {trial for found in searches for one in found.confirmed for trial in one.trial_ids}
