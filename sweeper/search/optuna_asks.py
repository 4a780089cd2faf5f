"""TPE and Gaussian processes by Optuna: the one file that imports it. A study is built for each proposal, and dropped.

So a sampler needs no state: a proposal is a function of the seed, its number, and what was told before.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweepError
from sweeper.search.state import State, Told, told
from sweeper.sweepfile.space import Dimension, Param
from sweeper.sweepfile.yaml_source import Scalar

if TYPE_CHECKING:
    import optuna

FEWEST_VALUES = 8
"""Values from which the importance of dimensions is computed."""
STARTUP = 10
"""Proposals that are drawn at random before a sampler of Optuna takes over, unless `startup` says otherwise."""


def loaded(what: str) -> Any:
    """Return Optuna, quiet. Raises SweepError that says what needs it, and how to install it."""
    try:
        import optuna
    except ImportError:
        raise SweepError(
            f"{what} needs Optuna, which is not installed: pip install 'sweeper[search]'; sampler: random and sampler: "
            "sobol need nothing more"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def version() -> str:
    """Return the version of Optuna in words."""
    return f"optuna {loaded('this search').__version__}"


def optuna_point(
    space: Sequence[Dimension],
    sampler: str,
    options: Mapping[str, Scalar],
    seed: int,
    number: int,
    history: Sequence[Told],
    better: str,
    rungs: Sequence[int],
) -> dict[str, Param]:
    """Return the point that `sampler` proposes after `history`. Raises SweepError without Optuna."""
    optuna = loaded(f"sampler {sampler}")
    ordered = sorted(space, key=attrgetter("name"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental options, of which a user of sweeper has chosen none
        study = optuna.create_study(
            sampler=_sampler(optuna, sampler, options, _seed(seed, number)),
            direction="maximize" if better == "higher" else "minimize",
        )
        distributions = {dimension.name: _distribution(optuna, dimension) for dimension in ordered}
        for one in history:
            study.add_trial(_trial(optuna, one, distributions, rungs, by_rung=sampler == "tpe"))
        asked = study.ask(distributions)
    return {dimension.name: _param(dimension, asked.params[dimension.name]) for dimension in ordered}


def study_of(
    space: Sequence[Dimension],
    state: State,
    better: str,
    rungs: Sequence[int],
    name: str,
    storage: str | None = None,
) -> "optuna.Study":
    """Return a study with every proposal of a search, for Optuna's own plots. Values are read at the rung reached.

    Raises SweepError if `storage` has a study of this name, or can't be written.
    """
    optuna = loaded("a study")
    distributions = {dimension.name: _distribution(optuna, dimension) for dimension in space}
    direction = "maximize" if better == "higher" else "minimize"
    try:
        study = optuna.create_study(study_name=name, direction=direction, storage=storage)
    except optuna.exceptions.DuplicatedStudyError:
        raise SweepError(
            f"storage {storage}: has a study {name!r}; name another storage, or delete that study"
        ) from None
    except Exception as error:
        if storage is None:
            raise
        # the library of a storage has errors of its own
        raise SweepError(f"storage {storage}: can't be used ({error}); name one such as sqlite:///study.db") from None
    for one in told(state, len(state.history), len(state.proposals), better):
        study.add_trial(_trial(optuna, one, distributions, rungs, by_rung=True))
    return study


def importance(space: Sequence[Dimension], state: State, better: str) -> Mapping[str, float]:
    """Return each dimension's share in the spread of the values at the first rung, which all trials have reached.

    Empty with fewer than FEWEST_VALUES values, or without what Optuna needs for it. Raises SweepError without Optuna.
    """
    optuna = loaded("the importance of dimensions")
    first = {heard.number: heard.value for heard in state.history if heard.rung == 0 and heard.value is not None}
    if len(first) < FEWEST_VALUES or len(space) < 2 or len(set(first.values())) < 2:
        return {}
    distributions = {dimension.name: _distribution(optuna, dimension) for dimension in space}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="maximize" if better == "higher" else "minimize")
        for number, value in sorted(first.items()):
            one = Told(number, state.proposals[number].params, 0, value)
            study.add_trial(_trial(optuna, one, distributions, (0,), by_rung=False))
        try:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
        except ImportError:  # scikit-learn
            return {}


def _seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"search {seed} {number}".encode()).digest()[:4], "big")


def _sampler(optuna: Any, name: str, options: Mapping[str, Scalar], seed: int) -> Any:
    startup = options.get("startup", STARTUP)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=startup,
        n_ei_candidates=options.get("candidates", 24),
        multivariate=options.get("multivariate", False),
        constant_liar=True,
    )


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        return optuna.distributions.CategoricalDistribution([value.label for value in dimension.values])
    if dimension.kind == "int":
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high))
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.kind == "log")


def _param(dimension: Dimension, value: Any) -> Param:
    if dimension.kind == "choice":
        return str(value)
    return int(value) if dimension.kind == "int" else dimension.rounded(float(value))


def _trial(optuna: Any, one: Told, distributions: Mapping[str, Any], rungs: Sequence[int], *, by_rung: bool) -> Any:
    """Return one proposal as Optuna knows it. TPE ranks by rung first, as if those below the last had been pruned."""
    states = optuna.trial.TrialState
    params: dict[str, Any] = {"params": dict(one.params), "distributions": dict(distributions)}
    if one.value is None:
        return optuna.trial.create_trial(state=states.RUNNING, **params)
    steps = {rungs[one.rung]: one.value} if rungs[one.rung] else {}
    pruned = by_rung and one.rung < len(rungs) - 1
    return optuna.trial.create_trial(
        state=states.PRUNED if pruned else states.COMPLETE,
        value=one.value,
        intermediate_values=steps,
        **params,
    )
