"""What a search proposes and hears: rungs, duplicates, points that can't be, trials that end badly, confirmations."""

from collections import Counter

import pytest

from sweeper.errors import SweepError
from sweeper.results.paths import Results
from sweeper.search.journal import read_state
from sweeper.search.searching import Searching
from sweeper.search.state import best, expected_steps
from sweeper.search.trials import known, planned
from sweeper.sweepfile.sweep import load
from tests.sweeper.search.hunt import finish, lines, loss_of, search_in, train, write_hunt


@pytest.fixture
def results(tmp_path) -> Results:
    return Results.at(tmp_path / "results")


def state_of(results, search):
    return read_state(results.search(search.search_id))


def test_the_best_third_of_a_rung_goes_on_as_the_same_trial_with_a_longer_target(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    sent = finish(results, search)
    searched = [spec for spec in sent if spec.seed == 0]
    assert Counter(spec.target for spec in searched) == {1: 9, 3: 4, 9: 1}  # one too early
    assert len({spec.trial_id for spec in searched}) == 9
    state = state_of(results, search)
    assert [len([one for one in state.history if one.rung == rung]) // 3 for rung in (0, 1)] == [3, 1]
    (winner,) = [made for made in state.proposals if made.rung == 2]
    assert winner.reached.value == min(heard.value for heard in state.history)
    assert winner.params["rate"] == max(made.params["rate"] for made in state.proposals)  # the toy's loss falls with it
    assert expected_steps(search.rungs, 3, 9) == 9 * 1 + 3 * 2 + 1 * 6


def test_a_promotion_comes_before_a_new_proposal_and_counts_only_what_was_heard(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    finish(results, search)
    kinds = [(line["kind"], line.get("rung")) for line in lines(results, search)[1:]]
    assert kinds[:8] == [("asked", None), ("heard", 0)] * 3 + [("promoted", 1), ("heard", 1)]


def test_the_best_are_confirmed_with_fresh_seeds_at_full_length(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    confirmations = [spec for spec in finish(results, search) if spec.seed]
    assert [(spec.seed, spec.target) for spec in confirmations] == [(1_000_000, 9), (1_000_001, 9)] * 2
    state = state_of(results, search)
    assert state.choices[-1].best == best(state, "lower", 2)
    assert [one.role for one in known(search, results).trials] == ["searched"] * 9 + ["confirmation"] * 4
    assert finish(results, search) == []


def test_a_confirmation_stays_when_growth_changes_the_winner(tmp_path, results):
    finish(results, search_in(write_hunt(tmp_path)))
    grown = search_in(write_hunt(tmp_path, "  trials: 30"))
    finish(results, grown)
    choices = state_of(results, grown).choices
    assert choices[0].best != choices[-1].best
    roles = Counter(one.role for one in known(grown, results).trials)
    dropped = set(choices[0].best) - set(choices[-1].best)
    assert roles == {"searched": 30, "confirmation": 4, "superseded": 2 * len(dropped)}


def test_a_point_that_was_proposed_before_is_told_its_value_and_not_trained(tmp_path, results):
    search = search_in(write_hunt(tmp_path, "  space: {rate: {choice: [0.25, 0.5]}}", "  rungs:"))
    sent = finish(results, search)
    assert len([spec for spec in sent if spec.seed == 0]) == 2
    state = state_of(results, search)
    doubled = [made for made in state.proposals if made.duplicate is not None]
    assert len(state.proposals) == 9 and len(doubled) == 7 and len(state.history) == 2
    for made in doubled:
        assert state.proposals[made.duplicate].params == made.params


@pytest.mark.parametrize("end", ["diverged", "failed"])
def test_a_trial_that_ends_badly_counts_as_the_worst_once_and_never_goes_on(tmp_path, results, end):
    search = search_in(write_hunt(tmp_path))
    finish(results, search, end=lambda spec: end if spec.target == 1 and spec.config.rate > 0.5 else "done")
    state = state_of(results, search)
    bad = [made for made in state.proposals if made.params["rate"] > 0.5]
    assert bad and all([heard.end for heard in made.values] == [end] and made.rung == 0 for made in bad)
    before = lines(results, search)
    for made in bad:  # a retry that succeeds changes no line
        train(results, search.trial(made.params, 0))
    finish(results, search)
    assert lines(results, search)[: len(before)] == before


IMPOSSIBLE = (
    "    rate: float = 0.5\n",
    "    rate: float = 0.5\n\n    def __post_init__(self):\n        if self.rate > 0.5:\n"
    '            raise ValueError("too fast")\n\n',
)


def test_a_point_that_no_trial_can_have_is_counted_and_costs_nothing(tmp_path, results):
    from tests.sweeper.plugged import TOY

    code = TOY.replace("    seed: int = 0\n", "    seed: int = 0\n\n    def __post_init__(self):\n"
                       "        if self.rate > 0.6:\n            raise ValueError('too fast')\n")  # fmt: skip
    search = search_in(write_hunt(tmp_path, code=code))
    sent = finish(results, search)
    state = state_of(results, search)
    impossible = [made for made in state.proposals if made.impossible]
    assert impossible and all("too fast" in made.impossible and not made.trial for made in impossible)
    assert len([spec for spec in sent if spec.target == 1]) == 9 - len(impossible)


def test_what_another_run_has_trained_is_heard_without_training(tmp_path, results):
    search = search_in(write_hunt(tmp_path, "  rungs:", "  confirm:"))
    other = Results.at(tmp_path / "other")
    for spec in finish(other, search)[:4]:
        train(results, spec)
    sent = finish(results, search)
    assert len(sent) == 5
    assert lines(results, search) == lines(other, search)


def test_a_trial_that_a_user_stopped_stays_pending_and_the_others_go_on(tmp_path, results):
    search = search_in(write_hunt(tmp_path, "  rungs:"))
    searching = Searching(search, results)
    searching.open()
    first = searching.next()
    searching.heard(first.trial_id, "interrupted")
    while (spec := searching.next()) is not None:
        train(results, spec)
        searching.heard(spec.trial_id, "done")
    assert searching.over
    searching.close()
    state = state_of(results, search)
    assert state.pending == (0,) and not state.choices
    assert finish(results, search)[0].trial_id == first.trial_id


def test_two_runs_never_go_on_with_one_search(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    first, second = Searching(search, results), Searching(search, results)
    first.open()
    with pytest.raises(SweepError, match=r"is gone on with already, by process \d+"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_each_cell_of_a_matrix_and_each_seed_has_a_search_of_its_own(tmp_path, results):
    matrix = "matrix: {kind: {slow: {}, fast: {note: 1}}}\n"
    code = __import__("tests.sweeper.plugged", fromlist=["TOY"]).TOY.replace(
        "    seed: int", "    note: int = 0\n    seed: int"
    )
    path = write_hunt(tmp_path, "seeds: 2", code=code, more=matrix)
    searches = [search_in(path, number) for number in range(4)]
    assert len({search.search_id for search in searches}) == 4
    assert [search.name for search in searches] == [
        "kind slow · s0",
        "kind slow · s1",
        "kind fast · s0",
        "kind fast · s1",
    ]
    for search in searches:
        finish(results, search)
    sweep = load(path)
    assert len(planned(sweep, None, results, {})) == 4 * (9 + 4)
    assert {loss_of(search.trial({"rate": 0.5}, 2)) for search in searches} == {0.5**9, 2 * 0.5**9}


def test_a_trainer_without_a_length_is_compared_at_its_own_end(tmp_path, results):
    from sweeper.executors.inline import InlineExecutor
    from sweeper.running.searches import SearchSource, _Open
    from tests.sweeper.dealing.test_source import dealer_of
    from tests.sweeper.plugged import ENDLESS

    path = write_hunt(tmp_path, "  rungs:", "  trials: 3", "  confirm: {best: 1, seeds: 1}", code=ENDLESS)
    search = search_in(path)
    assert search.rungs == (0,)
    searching = Searching(search, results)
    searching.open()
    part = type("Part", (), {"sweep": search.sweep})
    dealer = dealer_of(SearchSource([_Open(part, searching)], "cpu", None), results)
    InlineExecutor().run(dealer, lambda: None)
    searching.close()
    values = {heard.number: heard.value for heard in searching.state.history}
    rates = [made.params["rate"] for made in searching.state.proposals]
    assert values == {number: pytest.approx((1 - rate) ** 9) for number, rate in enumerate(rates)}
    assert searching.state.choices[-1].best == (rates.index(max(rates)),)
