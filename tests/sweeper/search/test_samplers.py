"""The points of each sampler: inside the space, a function of seed and number, and drawn towards what was told."""

import sys
import warnings

import pytest

from sweeper.errors import SweepError
from sweeper.planning.searched import searches_of
from sweeper.search.optuna_asks import optuna_point, study_of
from sweeper.search.points import random_point, sobol_point
from sweeper.search.propose import proposed
from sweeper.search.state import State, Told
from sweeper.sweepfile.sweep import load
from tests.sweeper.search.hunt import write_hunt

SPACE = "  space: {rate: {log: [0.01, 1]}, wide: {int: [1, 7]}, kind: {choice: [a, b, c]}}"


@pytest.fixture
def search(tmp_path):
    from tests.sweeper.plugged import TOY

    code = TOY.replace("    seed: int", "    wide: int = 1\n    kind: str = 'a'\n    seed: int")
    return searches_of(load(write_hunt(tmp_path, SPACE, code=code)))[0]


@pytest.mark.parametrize("point", [random_point, sobol_point])
def test_points_fill_the_space_and_depend_on_seed_and_number_alone(search, point):
    space = search.spec.space
    points = [point(space, 0, number) for number in range(64)]
    assert points[5:8] == [point(tuple(reversed(space)), 0, number) for number in (5, 6, 7)]
    assert points != [point(space, 1, number) for number in range(64)]
    assert {one["wide"] for one in points} == set(range(1, 8))
    assert {one["kind"] for one in points} == {"a", "b", "c"}
    rates = sorted(one["rate"] for one in points)
    assert 0.01 <= rates[0] < 0.02 and 0.5 < rates[-1] <= 1
    assert 24 <= sum(rate < 0.1 for rate in rates) <= 40  # along the logarithm


def test_sobol_spreads_more_evenly_than_chance(search):
    space = [dimension for dimension in search.spec.space if dimension.name == "rate"]
    cells = {
        int(8 * (1 + __import__("math").log10(sobol_point(space, 3, number)["rate"]) / 2 - 1e-9)) for number in range(8)
    }
    assert cells == set(range(8))


def test_tpe_is_drawn_to_what_was_good_and_says_the_same_again(search):
    space = search.spec.space
    history = [
        Told(number, point, 0, abs(point["rate"] - 0.1) + (point["kind"] != "b"))
        for number, point in enumerate(random_point(space, 9, number) for number in range(20))
    ]
    history.append(Told(20, random_point(space, 9, 20), 0, None))

    def ask(seed, number):
        return optuna_point(space, "tpe", {"startup": 5}, seed, number, history, "lower", (9,))

    asked = [ask(0, number) for number in range(21, 25)]
    assert [ask(0, number) for number in range(21, 25)] == asked
    assert ask(1, 21) != asked[0]
    assert sum(point["kind"] == "b" for point in asked) >= 3
    for point in asked:
        assert [dimension.chosen(point[dimension.name]).label for dimension in space]  # raises outside the space


def test_a_gaussian_process_is_drawn_to_what_was_good_and_says_the_same_again(search):
    space = [dimension for dimension in search.spec.space if dimension.name == "rate"]
    points = [{"rate": rate} for rate in (0.01, 0.03, 0.2, 1.0)]
    history = [Told(number, point, 0, abs(point["rate"] - 0.1)) for number, point in enumerate(points)]
    asked = [optuna_point(space, "gp", {"startup": 3}, 0, 4, history, "lower", (9,)) for _ in range(2)]
    assert asked[0] == asked[1]
    assert 0.03 < asked[0]["rate"] < 0.5


def test_without_optuna_only_its_samplers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    tpe = searches_of(load(write_hunt(tmp_path, "  sampler: tpe")))[0]
    with pytest.raises(
        SweepError, match=r"sampler tpe needs Optuna, which is not installed: pip install 'sweeper\[search\]'"
    ):
        proposed(tpe, State(), 0, 0)


def test_a_study_has_every_proposal_for_optunas_own_plots(tmp_path):
    from sweeper.results.paths import Results
    from sweeper.search.journal import read_state
    from tests.sweeper.search.hunt import finish

    results = Results.at(tmp_path / "results")
    hunt = searches_of(load(write_hunt(tmp_path)))[0]
    finish(results, hunt)
    state = read_state(results.search(hunt.search_id))
    study = study_of(hunt.spec.space, state, "lower", hunt.rungs, "hunt")
    assert len(study.trials) == 9
    (winner,) = [made for made in state.proposals if made.rung == 2]
    assert study.best_trial.number == winner.number and study.best_value == winner.reached.value


@pytest.mark.slow
def test_optunas_plots_and_its_storage_take_a_study(tmp_path, monkeypatch):
    import optuna

    from sweeper.errors import SweepError
    from sweeper.results.paths import Results
    from sweeper.search.study import study
    from tests.sweeper.search.hunt import finish, search_in

    file = write_hunt(tmp_path)
    finish(Results.at(tmp_path / "results"), search_in(file))
    given = {"profile": None, "search": None, "storage": f"sqlite:///{tmp_path}/study.db"}
    made = study(file, tmp_path / "results", **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these plots are experimental in Optuna
        assert optuna.visualization.matplotlib.plot_optimization_history(made).has_data()
        assert optuna.visualization.matplotlib.plot_slice(made).has_data()
    kept = optuna.load_study(study_name="hunt the only cell · s0", storage=given["storage"])
    assert [one.values for one in kept.trials] == [one.values for one in made.trials]
    with pytest.raises(SweepError, match="has a study 'hunt the only cell · s0'; name another storage, or delete that"):
        study(file, tmp_path / "results", **given)
    with pytest.raises(SweepError, match="storage nonsense: can't be used"):
        study(file, tmp_path / "results", **given | {"storage": "nonsense"})
