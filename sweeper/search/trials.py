"""The trials of a sweep that are known now: those of the grid, or those that the journals of its searches name.

Writes nothing and runs no sampler, so every command that only reads works without Optuna.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.planning.search_selectors import select_searches
from sweeper.planning.searched import Search, searches_of
from sweeper.planning.selectors import select
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results, ResultsError
from sweeper.results.survey import Batch
from sweeper.search.journal import read_state
from sweeper.search.state import Proposal, Rules, State
from sweeper.sweepfile.sweep import Sweep
from trainers.trainer import ConfigError

Role = Literal["searched", "confirmation", "superseded"]
"""A confirmation is superseded when a later choice leaves its proposal out."""


class SearchedTrial(NamedTuple):
    """A trial of a search: of proposal `number`, at the rung it was last sent to, or confirming it."""

    spec: TrialSpec
    number: int
    role: Role
    rung: int


class KnownSearch(NamedTuple):
    """A search with what its journal says, and the trials that it names so far."""

    search: Search
    state: State
    trials: list[SearchedTrial]


States = Callable[[str], State]
"""Returns what the journal of a search says, by the search's id. Raises SweepError."""


class ChangedError(ResultsError):
    """A search whose proposals would be other trials today."""


def rules_of(search: Search) -> Rules:
    """Return how a search goes on."""
    spec = search.spec
    return Rules(
        trials=spec.trials,
        rungs=len(search.rungs),
        factor=spec.rungs.factor if spec.rungs is not None else 2,
        better=spec.better,
        chosen=spec.confirm.best if spec.confirm is not None else 1,
    )


def trial_of(search: Search, made: Proposal, rung: int) -> TrialSpec:
    """Return the trial of a proposal with the length of `rung`. Raises ChangedError if it is another trial today."""
    try:
        spec = search.trial(made.params, rung)
    except (ConfigError, ValueError, KeyError) as error:
        raise ChangedError(_changed(search, made, f"it is refused now ({error})")) from None
    if spec.trial_id != made.trial:
        raise ChangedError(_changed(search, made, f"it would be trial {spec.trial_id} now"))
    return spec


def _changed(search: Search, made: Proposal, why: str) -> str:
    return (
        f"search {search.search_id}: proposal {made.number} is trial {made.trial}, and {why}: the data, a recipe or a "
        "default has changed since; give the sweep other seeds to search again"
    )


def known(search: Search, results: Results) -> KnownSearch:
    """Return what is known of a search. Raises SearchJournalError, ChangedError."""
    return _known(search, read_state(results.search(search.search_id)))


def _known(search: Search, state: State) -> KnownSearch:
    return KnownSearch(search, state, list(_trials(search, state)))


def _trials(search: Search, state: State) -> Iterator[SearchedTrial]:
    for made in state.proposals:
        if made.trial and made.duplicate is None:
            yield SearchedTrial(trial_of(search, made, made.rung), made.number, "searched", made.rung)
    if search.spec.confirm is None or not state.choices:
        return
    now = state.choices[-1].best
    before = dict.fromkeys(number for choice in state.choices for number in choice.best if number not in now)
    for number in (*now, *before):
        role: Role = "confirmation" if number in now else "superseded"
        for seed in search.spec.confirm.seeds:
            spec = search.confirmation(state.proposals[number].params, seed)
            yield SearchedTrial(spec, number, role, len(search.rungs) - 1)


def known_searches(
    sweep: Sweep, profile: str | None, results: Results, digests: Mapping[str, str], states: States | None = None
) -> list[KnownSearch]:
    """Return what is known of every search of `sweep`; none for a grid. Raises SweepError.

    `states` says it, or else the journals in `results`.
    """
    if sweep.search is None:
        return []
    read = states or (lambda search_id: read_state(results.search(search_id)))
    return [_known(search, read(search.search_id)) for search in searches_of(sweep, profile, digests)]


def trials_of(searches: Iterable[KnownSearch]) -> tuple[TrialSpec, ...]:
    """Return every trial that the searches name so far, each once."""
    every = [one.spec for search in searches for one in search.trials]
    return tuple({(spec.trial_id, spec.target): spec for spec in every}.values())


def searches_in(batch: Batch, results: Results) -> list[KnownSearch]:
    """Return what is known now of every search of `batch`. Raises SearchJournalError, ChangedError."""
    return [known(search, results) for part in batch.parts for search in part.searches]


def picked(
    sweep: Sweep, profile: str | None, results: Results, digests: Mapping[str, str], only: Sequence[str]
) -> tuple[list[KnownSearch], list[TrialSpec]]:
    """Return the searches and the trials that the selectors of --only pick. Raises SweepError.

    A selector of whole searches picks their trials. Any other picks trials, and leaves every search in sight.
    """
    searches = known_searches(sweep, profile, results, digests)
    specs = trials_of(searches) if sweep.search else expand(sweep, profile, digests)
    with suppress(SweepError):
        ids = {one.search_id for one in select_searches([one.search for one in searches], only, "--only")}
        searches = [one for one in searches if one.search.search_id in ids]
        if searches:
            return searches, list(trials_of(searches))
    return searches, select(specs, only, "--only")


def planned(sweep: Sweep, profile: str | None, results: Results, digests: Mapping[str, str]) -> tuple[TrialSpec, ...]:
    """Return every trial of a grid, or every trial that the searches of `sweep` name so far. Raises SweepError."""
    if sweep.search is None:
        return expand(sweep, profile, digests)
    return trials_of(known_searches(sweep, profile, results, digests))


def planned_every(sweep: Sweep, results: Results, digests: Mapping[str, str]) -> list[TrialSpec]:
    """Return the trials of the whole sweep and of every profile. A trial that is not among them is an orphan."""
    every: list[TrialSpec] = []
    for name in (None, *sweep.profiles):
        with suppress(SweepError):  # a profile with faults has no trials
            every += planned(sweep, name, results, digests)
    return every
