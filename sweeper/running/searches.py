"""The searches of a run as one source for its dealer, and whether they have anything left to do. Trains nothing."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from analysis.contract.lifecycle import FINISHED, Phase
from sweeper.dealing.engine import engine_for_new
from sweeper.dealing.source import Deal, Progress
from sweeper.errors import SweepError
from sweeper.host.devices import Device
from sweeper.planning.search_selectors import select_searches
from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.results.survey import Batch, Standing, SurveyedSweep
from sweeper.search.searching import Searching
from sweeper.search.state import Promotions, decide
from sweeper.search.trials import KnownSearch, known, rules_of, searches_in

Shown = Callable[[SurveyedSweep, TrialSpec], None]
"""Lets a view know of a trial that a search has just named."""


def show_nowhere(part: SurveyedSweep, spec: TrialSpec) -> None:
    """Show a trial nowhere: the run has no tracking store."""


class _Open(NamedTuple):
    part: SurveyedSweep
    searching: Searching


class SearchSource:
    """See `dealing.source.Source`. The search with the fewest trials out is asked first, ties in the plan's order."""

    def __init__(
        self, opened: Sequence[_Open], device: Device, wanted: str | None, shown: Shown = show_nowhere
    ) -> None:
        """`wanted` is the engine that the user asks for, if any."""
        self._open = opened
        self._device: Device = device
        self._wanted = wanted
        self._shown = shown

    @property
    def over(self) -> bool:
        return all(one.searching.over for one in self._open)

    @property
    def examples(self) -> Sequence[TrialSpec]:
        return [spec for one in self._open for spec in one.searching.search.examples]

    @property
    def most(self) -> int:
        return sum(one.searching.most for one in self._open)

    @property
    def progress(self) -> Sequence[Progress]:
        return [Progress(*one.searching.progress) for one in self._open]

    def next(self) -> Deal | None:
        for one in sorted(self._open, key=lambda one: one.searching.busy):
            spec = one.searching.next()
            if spec is not None:
                self._shown(one.part, spec)
                return Deal(spec, one.part.sweep.name, engine_for_new(spec, self._device, self._wanted))
        return None

    def heard(self, trial_id: str, phase: Phase) -> None:
        for one in self._open:
            one.searching.heard(trial_id, phase)


@contextmanager
def opened(
    batch: Batch,
    results: Results,
    device: Device,
    *,
    wanted: str | None = None,
    retry_failed: bool = False,
    shown: Shown = show_nowhere,
    going_on: Collection[str] | None = None,
) -> Iterator[SearchSource | None]:
    """Lock every search of `batch` while the block lasts, and yield their source; None if there is none.

    With `going_on`, only the searches with these ids are locked and go on. Raises SweepError if another process goes on
    with one of them, or if a journal is damaged.
    """
    with ExitStack() as held:
        made: list[_Open] = []
        for part in batch.parts:
            for search in part.searches:
                if going_on is not None and search.search_id not in going_on:
                    continue
                searching = Searching(search, results, retry_failed=retry_failed)
                held.callback(searching.close)
                searching.open()
                made.append(_Open(part, searching))
        yield SearchSource(made, device, wanted, shown) if made else None


def chosen(batch: Batch, only: Sequence[str]) -> list[Search] | None:
    """Return the searches of `batch` that --only picks; None if there is no such choice or nothing is searched.

    Raises SweepError for a selector that picks nothing, and if the run has grids besides.
    """
    searches = [search for part in batch.parts for search in part.searches]
    if not searches or not only:
        return None
    if grid := next((part.sweep.name for part in batch.parts if not part.searches), ""):
        raise SweepError(
            f"--only {only[0]}: {grid} is a grid, of which --only picks trials, and {searches[0].sweep.name} is "
            "searched, of which it picks whole searches; run them apart"
        )
    return select_searches(searches, only, "--only")


def standings_of(standings: Sequence[Standing], searches: Sequence[Search], results: Results) -> list[Standing]:
    """Return those of `standings` that are trials of `searches`. Raises SweepError."""
    named = {one.spec.trial_id for search in searches for one in known(search, results).trials}
    return [one for one in standings if one.spec.trial_id in named]


def unfinished(
    batch: Batch, results: Results, *, retry_failed: bool, of: Sequence[Search] | None = None
) -> list[Search]:
    """Return the searches of `batch`, or those `of` it, that have anything left to do. Raises SweepError."""
    standings = {(one.spec.trial_id, one.spec.target): one for one in batch.standings}
    every = searches_in(batch, results)
    ids = None if of is None else {search.search_id for search in of}
    every = [one for one in every if ids is None or one.search.search_id in ids]
    return [one.search for one in every if _left(one, standings, retry_failed=retry_failed)]


def _left(one: KnownSearch, standings: Mapping[tuple[str, int], Standing], *, retry_failed: bool) -> bool:
    rules = rules_of(one.search)
    if one.state.pending or decide(one.state, rules, Promotions(rules)) is not None:
        return True
    ended = FINISHED | (set() if retry_failed else {"failed"})
    confirmations = [trial.spec for trial in one.trials if trial.role == "confirmation"]
    return any(standings[spec.trial_id, spec.target].state not in ended for spec in confirmations)


def settled(batch: Batch, results: Results) -> set[str]:
    """Return the trials whose end a search has heard: a failed or diverged one is a result, and needs no care."""
    states = [one.state for one in searches_in(batch, results)]
    return {made.trial for state in states for made in state.proposals if made.trial and not made.waits}
