"""The searches of a submission: from a plan to its frozen part, and back to what a slot goes on with.

A slot reads the text of the sweep file as it was when it was submitted. Proposes nothing.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

from sweeper.errors import SweepError
from sweeper.planning.searched import Search, searches_of
from sweeper.results.known_datasets import make_known
from sweeper.results.paths import Results
from sweeper.search.state import State
from sweeper.search.trials import rules_of
from sweeper.sweepfile.sweep import Sweep, load
from sweeper.sweepfile.tries import given_to, tried


class FrozenSweep(TypedDict):
    """A searched sweep file as it was submitted: where it was, its text, the profile and the values of --set."""

    file: str
    text: str
    profile: str | None
    settings: list[str]


class FrozenSearch(TypedDict):
    """One search to go on with: its id, the number of its sweep, and what it may still do."""

    search_id: str
    sweep: int
    trials: int
    confirms: list[str | int]


class Searched(TypedDict):
    """The part of a submission that says what is searched. `failed`: see `search.in_turns`."""

    sweeps: list[FrozenSweep]
    searches: list[FrozenSearch]
    failed: dict[str, int]
    engine: NotRequired[str]


class OtherSearchError(SweepError):
    """A frozen search that the code or the data here would give another id."""

    exit_code = 4


class Thawed(NamedTuple):
    """A search, and the name of the sweep that its trials run for."""

    search: Search
    sweep: str


def frozen_searches(searches: Sequence[Search], profile: str | None, failed: dict[str, int]) -> Searched:
    """Return what a submission keeps of `searches`, which it goes on with."""
    sweeps: dict[int, tuple[int, Sweep]] = {}
    for search in searches:
        sweeps.setdefault(id(search.sweep), (len(sweeps), search.sweep))
    return Searched(
        sweeps=[
            FrozenSweep(
                file=str(sweep.path.absolute()), text=sweep.document.text, profile=profile, settings=given_to(sweep)
            )
            for _, sweep in sweeps.values()
        ],
        searches=[
            FrozenSearch(
                search_id=search.search_id,
                sweep=sweeps[id(search.sweep)][0],
                trials=search.spec.trials,
                confirms=_confirms(search),
            )
            for search in searches
        ],
        failed=failed,
    )


def thawed_searches(searched: Searched, digests: dict[str, str], results: Results) -> list[Thawed]:
    """Return the searches of a submission, in its order. Raises OtherSearchError, SweepError."""
    if not searched["searches"]:
        return []
    make_known(results)
    known: dict[tuple[int, str], Thawed] = {}
    for number, frozen in enumerate(searched["sweeps"]):
        sweep = tried(load(Path(frozen["file"]), text=frozen["text"]), frozen["settings"])
        for search in searches_of(sweep, frozen["profile"], digests):
            known[number, search.search_id] = Thawed(search, sweep.name)
    missing = [one["search_id"] for one in searched["searches"] if (one["sweep"], one["search_id"]) not in known]
    if missing:
        raise OtherSearchError(f"search {missing[0]}: the code here gives it another id; install the submitting code")
    return [known[one["sweep"], one["search_id"]] for one in searched["searches"]]


def covers(frozen: FrozenSearch, search: Search) -> bool:
    """Return whether a submission does all that is left of `search`: as many proposals, the same confirmation."""
    return (
        frozen["search_id"] == search.search_id
        and frozen["trials"] >= search.spec.trials
        and frozen["confirms"] == _confirms(search)
    )


def at_once(search: Search, state: State, unconfirmed: int) -> int:
    """Return how many trials of a search may train at once from now on, at most; at least 1, who goes on with it."""
    confirm = search.spec.confirm
    proposals = rules_of(search).trials - len(state.proposals) + len(state.pending)
    later = unconfirmed if not proposals else 0 if confirm is None else confirm.best * len(confirm.seeds)
    return max(proposals, later, 1)


def names_of(searches: Iterable[FrozenSearch]) -> set[str]:
    """Return the ids of frozen searches."""
    return {one["search_id"] for one in searches}


def _confirms(search: Search) -> list[str | int]:
    confirm = search.spec.confirm
    return [] if confirm is None else [confirm.best, str(confirm.on), *confirm.seeds]
