"""The searches of a run as one source for its dealer, and whether they have anything left to do. Trains nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from analysis.contract.lifecycle import FINISHED, Phase
from sweeper.dealing.engine import engine_for_new
from sweeper.dealing.source import Deal, Progress
from sweeper.host.devices import Device
from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.results.survey import Batch, Standing, SurveyedSweep
from sweeper.search.searching import Searching
from sweeper.search.state import Promotions, decide
from sweeper.search.trials import KnownSearch, rules_of, searches_in

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
) -> Iterator[SearchSource | None]:
    """Lock every search of `batch` while the block lasts, and yield their source; None if there is none.

    Raises SweepError if another process goes on with one of them, or if a journal is damaged.
    """
    with ExitStack() as held:
        made: list[_Open] = []
        for part in batch.parts:
            for search in part.searches:
                searching = Searching(search, results, retry_failed=retry_failed)
                held.callback(searching.close)
                searching.open()
                made.append(_Open(part, searching))
        yield SearchSource(made, device, wanted, shown) if made else None


def unfinished(batch: Batch, results: Results, *, retry_failed: bool) -> list[Search]:
    """Return the searches of `batch` that have anything left to do. Raises SweepError."""
    standings = {(one.spec.trial_id, one.spec.target): one for one in batch.standings}
    return [one.search for one in searches_in(batch, results) if _left(one, standings, retry_failed=retry_failed)]


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
