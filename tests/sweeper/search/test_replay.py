"""A search goes on from any line of its journal as if nothing had happened, and its proposals can be made again."""

import random

import pytest

from sweeper.results.paths import Results
from sweeper.search import deciding as module
from sweeper.search.journal import SearchJournal, SearchJournalError, read_state
from sweeper.search.propose import replayed
from sweeper.search.searching import Searching
from tests.sweeper.search.hunt import finish, lines, search_in, train, write_hunt

TPE = "  sampler: {name: tpe, startup: 3}"


class Killed(BaseException):
    """The process is gone."""


class DyingJournal(SearchJournal):
    """A journal whose process dies at one line: before it is written, half way, or right after."""

    dies_at, when = 0, "after"

    def append(self, line):
        DyingJournal.dies_at -= 1
        if DyingJournal.dies_at == 0 and self.when == "before":
            raise Killed
        size = self._path.stat().st_size if self._path.exists() else 0
        super().append(line)
        if DyingJournal.dies_at == 0 and self.when == "torn":
            with self._path.open("r+b") as file:
                file.truncate(size + (self._path.stat().st_size - size) // 2)
        if DyingJournal.dies_at == 0:
            raise Killed


def killed_at(number: int, when: str, results: Results, search, monkeypatch) -> None:
    DyingJournal.dies_at, DyingJournal.when = number, when
    with monkeypatch.context() as patched:
        patched.setattr(module, "SearchJournal", DyingJournal)
        with pytest.raises(Killed):
            finish(results, search)


@pytest.fixture
def results(tmp_path) -> Results:
    return Results.at(tmp_path / "results")


def test_the_journal_says_what_was_known_before_anyone_acts(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    searching = Searching(search, results)
    searching.open()
    first = searching.next()
    begun, asked = lines(results, search)
    assert (begun["kind"], begun["facts"]["seed"]) == ("search", 0)
    assert asked == {
        "kind": "asked", "n": 0, "params": {"rate": first.config.rate}, "trial": first.trial_id, "heard": 0,
        "pending": [],
    }  # fmt: skip
    second = searching.next()
    assert (lines(results, search)[2]["pending"], second.target) == ([0], 1)
    train(results, second)
    searching.heard(second.trial_id, "done")
    third = searching.next()
    heard, asked = lines(results, search)[3:]
    assert (heard["n"], heard["rung"], heard["step"], heard["end"]) == (1, 0, 1, "done")
    assert (asked["n"], asked["heard"], asked["pending"]) == (2, 1, [0])
    assert asked["trial"] == third.trial_id
    searching.close()


@pytest.mark.parametrize("when", ["before", "torn", "after"])
def test_one_worker_gets_the_same_lines_whichever_line_it_was_killed_at(tmp_path, when, monkeypatch):
    search = search_in(write_hunt(tmp_path))
    whole = Results.at(tmp_path / "whole")
    finish(whole, search)
    wanted = lines(whole, search)
    assert [line["kind"] for line in wanted].count("promoted") == 5
    assert wanted[-1]["kind"] == "chosen"
    results, deaths = Results.at(tmp_path / "killed"), 0
    while len(lines(results, search)) < len(wanted) - 1:  # each start dies at the next line but what it gets done
        killed_at(1 if when == "after" else 2, when, results, search, monkeypatch)
        deaths += 1
        assert lines(results, search) == wanted[: len(lines(results, search))]
    finish(results, search)
    assert lines(results, search) == wanted
    assert deaths >= len(wanted) - 2


def test_a_sampler_of_optuna_needs_no_state_either(tmp_path, monkeypatch):
    search = search_in(write_hunt(tmp_path, TPE))
    whole, results = Results.at(tmp_path / "whole"), Results.at(tmp_path / "killed")
    finish(whole, search)
    wanted = lines(whole, search)
    for number in (9, 3, 7):  # each from where the one before left it
        killed_at(number, "after", results, search, monkeypatch)
    finish(results, search)
    assert lines(results, search) == wanted
    assert replayed(search, read_state(results.search(search.search_id))) == []


def test_what_finished_unheard_is_heard_by_rung_and_number(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    searching = Searching(search, results)
    searching.open()
    sent = [searching.next() for _ in range(5)]
    for spec in (sent[4], sent[0], sent[2]):
        train(results, spec)
        searching.heard(spec.trial_id, "done")
    promoted = searching.next()
    assert promoted.target == 3
    for spec in (promoted, sent[3], sent[1]):
        train(results, spec)
    searching.close()  # killed between `done` and `heard`
    again = Searching(search, results)
    again.open()
    heard = [(line["rung"], line["n"]) for line in lines(results, search) if line["kind"] == "heard"]
    assert heard[:3] == [(0, 4), (0, 0), (0, 2)]
    assert heard[3:] == [(0, 1), (0, 3), (1, again.state.by_trial[promoted.trial_id])]
    again.close()


@pytest.mark.parametrize("seed", range(3))
def test_three_workers_that_are_killed_lose_no_proposal_and_double_none(tmp_path, results, seed):
    search = search_in(write_hunt(tmp_path, TPE, "  trials: 12"))
    draws, sends = random.Random(seed), 0
    for last in [False] * 6 + [True]:
        searching, out = Searching(search, results), []
        searching.open()
        while last or draws.random() < 0.9:
            while len(out) < 3 and (spec := searching.next()) is not None:
                out.append(spec)
                sends += 1
            if not out:
                break
            spec = out.pop(draws.randrange(len(out)))
            train(results, spec)
            if last or draws.random() < 0.8:  # else the process dies between `done` and `heard`
                searching.heard(spec.trial_id, "done")
            else:
                break
        searching.close()
    state = read_state(results.search(search.search_id))
    assert [made.number for made in state.proposals] == list(range(12))
    assert len(set(state.by_trial)) == 12 and not state.pending
    assert len(state.history) == len({(heard.number, heard.rung) for heard in state.history})
    assert replayed(search, state) == []
    assert sends >= len(state.history)


def test_growth_goes_on_where_the_shorter_search_ended(tmp_path):
    short, long = search_in(write_hunt(tmp_path)), search_in(write_hunt(tmp_path / "long", "  trials: 18"))
    assert short.search_id == long.search_id
    grown, whole = Results.at(tmp_path / "grown"), Results.at(tmp_path / "whole")
    finish(grown, short)
    before = lines(grown, short)
    finish(grown, long)
    finish(whole, long)
    assert lines(grown, long)[: len(before)] == before
    bare = [line for line in lines(grown, long) if line["kind"] != "chosen"]
    assert bare == [line for line in lines(whole, long) if line["kind"] != "chosen"]


def test_a_journal_that_no_search_writes_is_named_with_its_line(tmp_path, results):
    search = search_in(write_hunt(tmp_path))
    finish(results, search)
    path = results.search(search.search_id).journal
    whole = path.read_text()
    for old, new, said in (
        ('"n":1,', '"n":7,', ":4 asks for proposal 7, and the next is 1"),
        ('"pending":[]', '"pending":[3]', ":2 says that [3] are pending, and [] are"),
        ('"kind":"heard"', '"kind":"hearD"', ":3 is of the kind 'hearD'"),
        ('"seed":0', '"seed":1', ":1 is of the search"),
        ('"end":"done"', '"end":"failed"', ":3 has the value"),
    ):
        assert old in whole
        path.write_text(whole.replace(old, new, 1))
        with pytest.raises(SearchJournalError) as refused:
            read_state(results.search(search.search_id))
        assert f"{path}{said}" in str(refused.value)
