"""Selectors of whole searches on the command line: `method=ANIL,seed=0`, or the start of a search's id.

A search chooses its trials itself, so a selector never picks some of them.
"""

from collections.abc import Iterable, Sequence

from sweeper.errors import SweepError
from sweeper.planning.searched import Search
from sweeper.planning.selectors import Term, means, picked_of, terms_of


def select_searches(searches: Sequence[Search], selectors: Iterable[str], option: str) -> list[Search]:
    """Return the searches that any of `selectors` picks; all of them if there is no selector.

    A term is an axis of the matrix and a label, or `seed`. Raises SweepError with the name of `option` for any other,
    and for a selector that picks nothing.
    """
    names = ", ".join(f"{search.search_id} ({search.name})" for search in searches)
    nothing = f"no search of this sweep matches; they are {names}"
    return picked_of(searches, selectors, lambda search: search.search_id, _matching, option, nothing)


def _matching(searches: Sequence[Search], selector: str, option: str) -> list[Search]:
    terms = terms_of(selector, option)
    axes = list(dict.fromkeys(axis for search in searches for axis in search.cell.labels))
    for name, _ in terms:
        if name not in (*axes, "seed"):
            raise SweepError(
                f"{option} {selector}: {name!r} is no axis of the matrix, and a search chooses its trials itself; pick "
                f"whole searches by {', '.join([*axes, 'seed'])} or the start of a search's id"
            )
    return [search for search in searches if all(_matches(search, term) for term in terms)]


def _matches(search: Search, term: Term) -> bool:
    if term.name == "seed":
        return means(term.value, search.seed)
    setting = search.cell.setting(term.name)
    plain = setting is not None and means(term.value, setting.value)
    return search.cell.labels.get(term.name) == term.value or plain
