"""One search that several processes go on with in turns: the same search as one run alone makes, whoever has a turn."""

import random

import pytest

from sweeper.results.paths import Results
from sweeper.search.in_turns import InTurns
from sweeper.search.journal import SearchJournal, SearchTakenOverError, read_state
from sweeper.search.propose import replayed
from tests.sweeper.search.hunt import finish, lines, search_in, train, write_hunt


@pytest.fixture
def results(tmp_path) -> Results:
    return Results.at(tmp_path / "results")


def in_turns(search, results, failed=None):
    return InTurns(search, results, failed or {}, lambda: None)


def go_on(search, results, count, draws, end=lambda spec: "done"):
    """Go on with a search by `count` processes in random order; each trains what its turn gave. Return what was given.

    A process may forget its search and read it again, as one that was killed and begins again does.
    """
    slots = [in_turns(search, results) for _ in range(count)]
    out, given = {}, []
    while not all(slot.over for slot in slots):
        number = draws.randrange(count)
        if number in out:
            spec = out.pop(number)
            train(results, spec, end(spec))
        if draws.random() < 0.2:
            slots[number] = in_turns(search, results)
        taken = {spec.trial_id for spec in out.values()}
        spec = slots[number].turn(lambda spec, taken=taken: spec.trial_id not in taken)
        if spec is not None:
            out[number] = spec
            given.append(spec)
    assert not out
    return given


def test_one_process_in_turns_does_what_one_run_does(tmp_path, results):
    search, other = search_in(write_hunt(tmp_path)), Results.at(tmp_path / "other")
    given = go_on(search, results, 1, random.Random(0))
    assert [(spec.trial_id, spec.target) for spec in given] == [
        (spec.trial_id, spec.target) for spec in finish(other, search)
    ]
    assert lines(results, search) == lines(other, search)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bad", ["done", "diverged", "failed"])
def test_several_processes_lose_and_double_nothing(tmp_path, results, seed, bad):
    search = search_in(write_hunt(tmp_path))

    def end(spec):
        return bad if spec.target == 1 and spec.config.rate > 0.7 else "done"

    given = go_on(search, results, 4, random.Random(seed), end)
    assert len({(spec.trial_id, spec.target) for spec in given}) == len(given)
    state = read_state(results.search(search.search_id))
    assert [made.number for made in state.proposals] == list(range(9)) and not state.pending
    assert len({(heard.number, heard.rung) for heard in state.history}) == len(state.history)
    assert replayed(search, state) == [] and state.choices
    assert len([spec for spec in given if spec.seed]) == 4
    assert finish(results, search) == []


def test_a_trial_that_is_not_free_keeps_the_search_from_its_end(tmp_path, results):
    search = search_in(write_hunt(tmp_path, "  rungs:", "  trials: 2", "  confirm: {best: 1, seeds: 2}"))
    one, two = in_turns(search, results), in_turns(search, results)
    first = one.turn(lambda spec: True)
    second = two.turn(lambda spec: spec != first)
    assert one.turn(lambda spec: False) is None and not one.over
    train(results, second)
    assert two.turn(lambda spec: spec != first) is None and not two.over
    train(results, first)
    confirmations = [two.turn(lambda spec: True)]
    assert two.confirmable == 1
    confirmations.append(one.turn(lambda spec: spec != confirmations[0]))
    assert {spec.seed for spec in confirmations} == {1_000_000, 1_000_001}
    assert one.confirmable == 0
    assert one.turn(lambda spec: spec not in confirmations) is None and not one.over
    for spec in confirmations:
        train(results, spec)
    assert one.turn(lambda spec: True) is None and one.over


def test_what_ended_meanwhile_is_heard_in_the_order_of_rung_and_number(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    slot, out = in_turns(search, results), []
    for _ in range(4):
        out.append(slot.turn(lambda spec: spec not in out))
    for spec in reversed(out):
        train(results, spec)
    in_turns(search, results).turn(lambda spec: True)
    heard = [line["n"] for line in lines(results, search) if line["kind"] == "heard"]
    assert heard == [0, 1, 2, 3]


def test_a_failure_counts_unless_it_was_before_a_submission_that_retries(tmp_path, results):
    search = search_in(write_hunt(tmp_path, "  rungs:"))
    first = in_turns(search, results).turn(lambda spec: True)
    train(results, first, "failed")
    assert in_turns(search, results, {first.trial_id: 1}).turn(lambda spec: True) == first
    train(results, first, "failed")
    assert in_turns(search, results, {first.trial_id: 1}).turn(lambda spec: True) != first
    assert read_state(results.search(search.search_id)).history[0].end == "failed"


def test_a_journal_that_another_process_has_written_is_not_written(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    paths = results.search(search.search_id)
    late = SearchJournal(paths)
    in_turns(search, results).turn(lambda spec: True)
    before = paths.journal.read_bytes()
    with pytest.raises(SearchTakenOverError, match="another process has gone on with this search"):
        late.begin(search.facts)
    assert paths.journal.read_bytes() == before


def test_a_line_that_a_crash_left_incomplete_is_cut_off_in_the_next_turn(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    slot = in_turns(search, results)
    first = slot.turn(lambda spec: True)
    paths = results.search(search.search_id)
    with paths.journal.open("ab") as file:
        file.write(b'{"kind":"asked","n":1')
    assert slot.turn(lambda spec: spec != first) != first
    assert [line["kind"] for line in lines(results, search)] == ["search", "asked", "asked"]


def test_who_has_lost_its_turn_writes_no_proposal(tmp_path, results):
    search = search_in(write_hunt(tmp_path))

    def lost():
        raise RuntimeError("not mine")

    with pytest.raises(RuntimeError, match="not mine"):
        InTurns(search, results, {}, lost).turn(lambda spec: True)
    assert read_state(results.search(search.search_id)).proposals == []
