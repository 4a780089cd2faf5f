"""The next point of a search: a function of its space, sampler, seed, the number, and what was known at that time."""

from sweeper.planning.searched import Params, Search
from sweeper.search.points import random_point, sobol_point
from sweeper.search.state import State, told
from sweeper.sweepfile.search_key import BY_OPTUNA


def proposed(search: Search, state: State, number: int, known: int) -> Params:
    """Return the point of proposal `number` after the first `known` values of `state`.

    Raises SweepError if the sampler is not installed.
    """
    spec = search.spec
    if spec.sampler not in BY_OPTUNA:
        points = {"random": random_point, "sobol": sobol_point}
        return points[spec.sampler](search.space, search.seed, number)
    from sweeper.search.optuna_asks import optuna_point

    history = told(state, known, number, spec.better)
    return optuna_point(
        search.space, spec.sampler, spec.options, search.seed, number, history, spec.better, search.rungs
    )


def made_by(search: Search) -> str:
    """Return what else than the journal a proposal depends on: the version of Optuna, "" for none."""
    if search.spec.sampler not in BY_OPTUNA:
        return ""
    from sweeper.search.optuna_asks import version

    return version()


def replayed(search: Search, state: State) -> list[int]:
    """Return the proposals whose point the sampler would not propose again from what the journal says was known."""
    return [
        made.number
        for made in state.proposals
        if dict(proposed(search, state, made.number, made.known)) != dict(made.params)
    ]
