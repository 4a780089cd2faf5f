"""`sweeper.study`: the proposals of one search as a study of Optuna, for its own plots and dashboard."""

from pathlib import Path
from typing import Any

from sweeper.errors import SweepError
from sweeper.results.known_trainers import sweep_in
from sweeper.results.paths import Results
from sweeper.search.trials import known_searches


def study(
    file: str | Path, results: str | Path, *, profile: str | None, search: str | None, storage: str | None = None
) -> Any:
    """Return a study of the search whose id starts with `search`; see `sweeper.study`. Raises SweepError."""
    from sweeper.search.optuna_asks import study_of

    folder = Results.at(Path(results))
    sweep = sweep_in(Path(file), folder)
    if sweep.search is None:
        raise SweepError(f"{sweep.path}: has no search, so there is no study of it; sweeper.results reads a grid")
    every = known_searches(sweep, profile, folder, folder.digests())
    found = [one for one in every if one.search.search_id.startswith(search or "")]
    if len(found) != 1:
        names = ", ".join(f"{one.search.search_id} ({one.search.name})" for one in every)
        why = (
            f"has {len(every)} searches" if search is None else f"has {len(found)} searches that start with {search!r}"
        )
        raise SweepError(f"{sweep.path}: {why}; name one of them with search=: {names}")
    known = found[0]
    name = f"{sweep.name} {known.search.name}"
    return study_of(known.search.space, known.state, known.search.spec.better, known.search.rungs, name, storage)
