"""A dealer that takes trials from a source: empty now and not over, one trial to several targets, packs, crashes."""

import pytest

from sweeper.dealing.dealer import Dealer
from sweeper.dealing.source import Deal
from sweeper.results.paths import Results
from sweeper.running.searches import SearchSource, _Open
from sweeper.search.searching import Searching
from sweeper.worker.work import Work
from tests.sweeper.plugged import PACKED
from tests.sweeper.search.hunt import WORKER, finish, lines, search_in, train, write_hunt

LOSS = "  metric: {name: loss, better: lower}"


class Played:
    """A source whose deals the test decides."""

    def __init__(self) -> None:
        self.deals, self.ended, self.over = [], [], False
        self.examples, self.most, self.progress = (), 3, ()

    def next(self):
        return self.deals.pop(0) if self.deals else None

    def heard(self, trial_id, phase):
        self.ended.append((trial_id, phase))


def dealer_of(source, results, pack=1):
    import dataclasses

    worker = dataclasses.replace(WORKER, pack=pack, chunk_s=0.0)
    return Dealer([], sweeps={}, engines={}, results=results, worker=worker, note=lambda _: None, source=source)


@pytest.fixture
def results(tmp_path) -> Results:
    return Results.at(tmp_path / "results")


def trained(dealer, assignment):
    work = Work(assignment)
    while True:
        update = work.step()
        dealer.receive(update)
        if update["over"]:
            break
    dealer.ended(assignment["pack"])


def test_an_empty_source_that_is_not_over_keeps_the_run_alive(tmp_path, results):
    search, source = search_in(write_hunt(tmp_path)), Played()
    dealer = dealer_of(source, results)
    assert dealer.next_assignment() is None and not dealer.over
    short, long = search.trial({"rate": 0.5}, 0), search.trial({"rate": 0.5}, 2)
    source.deals.append(Deal(short, "hunt", "python"))
    trained(dealer, dealer.next_assignment())
    assert source.ended == []  # heard when the dealer asks again
    source.deals.append(Deal(long, "hunt", "python"))
    again = dealer.next_assignment()
    assert source.ended == [(short.trial_id, "done")]
    assert (again["members"][0]["attempt"], again["members"][0]["config"]["steps"]) == (2, 9)
    trained(dealer, again)
    source.over = True
    assert not dealer.over
    assert dealer.next_assignment() is None and dealer.over
    assert source.ended[1:] == [(long.trial_id, "done")]


def test_trials_of_one_rung_are_packed(tmp_path, results):
    search, source = search_in(write_hunt(tmp_path, "  confirm:", LOSS, code=PACKED)), Played()
    rates = (0.1, 0.2, 0.3, 0.4)
    source.deals = [
        Deal(search.trial({"rate": rate}, rung), "hunt", "python")
        for rate, rung in zip(rates, (0, 0, 1, 0), strict=True)
    ]
    dealer = dealer_of(source, results, pack=3)
    first, second = dealer.next_assignment(), dealer.next_assignment()
    assert [[member["config"]["rate"] for member in one["members"]] for one in (first, second)] == [[0.1, 0.2], [0.3]]
    assert [member["config"]["rate"] for member in dealer.next_assignment()["members"]] == [0.4]


def test_a_source_that_fails_ends_the_run_with_its_message(tmp_path, results):
    from sweeper.errors import SweepError

    source = Played()
    source.next = lambda: (_ for _ in ()).throw(SweepError("sampler tpe needs Optuna"))
    dealer = dealer_of(source, results)
    assert dealer.next_assignment() is None
    assert dealer.over and str(dealer.fatal) == "sampler tpe needs Optuna"


@pytest.mark.parametrize("pack", [1, 3])
def test_a_search_through_a_dealer_trains_what_it_proposes(tmp_path, results, pack):
    search = search_in(write_hunt(tmp_path, LOSS, code=PACKED))
    searching = Searching(search, results)
    searching.open()
    part = type("Part", (), {"sweep": search.sweep})
    dealer = dealer_of(SearchSource([_Open(part, searching)], "cpu", None), results, pack)
    sizes = []
    while not dealer.over:
        assignment = dealer.next_assignment()
        if assignment is not None:
            sizes.append(len(assignment["members"]))
            trained(dealer, assignment)
    searching.close()
    assert dealer.fatal is None
    assert max(sizes) == pack
    if pack == 1:  # the same lines as without any training
        played = Results.at(tmp_path / "played")
        finish(played, search)
        assert lines(results, search) == lines(played, search)


def test_a_trial_that_the_plan_still_trains_is_given_to_the_source_afterwards(tmp_path, results):
    search, source = search_in(write_hunt(tmp_path)), Played()
    long, short = search.trial({"rate": 0.5}, 2), search.trial({"rate": 0.5}, 0)
    dealer = Dealer(
        [long], sweeps={long.trial_id: "grid"}, engines={long.trial_id: "python"}, results=results, worker=WORKER,
        note=lambda _: None, source=source,
    )  # fmt: skip
    first = dealer.next_assignment()
    source.deals, source.over = [Deal(short, "hunt", "python")], True
    assert dealer.next_assignment() is None and not dealer.over
    trained(dealer, first)
    assert dealer.next_assignment() is None and dealer.over  # it is done at that step, too
    assert source.ended == [(short.trial_id, "skipped")]


def test_a_trial_that_ended_before_it_could_be_dealt_is_heard_by_its_search(tmp_path, results):
    search = search_in(write_hunt(tmp_path, "  rungs:", "  confirm:"))
    searching = Searching(search, results)
    searching.open()
    part = type("Part", (), {"sweep": search.sweep})
    dealer = dealer_of(SearchSource([_Open(part, searching)], "cpu", None), results)
    spec = searching.next()  # sent, and trained by another run before this one deals it
    train(results, spec)
    searching.heard(spec.trial_id, "skipped")
    while not dealer.over:
        if (assignment := dealer.next_assignment()) is not None:
            trained(dealer, assignment)
    searching.close()
    assert not searching.state.pending and len(searching.state.history) == 9


def test_a_disk_that_is_full_ends_the_run_and_the_next_one_goes_on(tmp_path, results, monkeypatch):
    search = search_in(write_hunt(tmp_path))
    whole = Results.at(tmp_path / "whole")
    finish(whole, search)

    def run():
        searching = Searching(search, results)
        searching.open()
        part = type("Part", (), {"sweep": search.sweep})
        dealer = dealer_of(SearchSource([_Open(part, searching)], "cpu", None), results)
        while not dealer.over:
            if (assignment := dealer.next_assignment()) is not None:
                trained(dealer, assignment)
        dealer.end_all()
        searching.close()
        return dealer

    with monkeypatch.context() as full:
        left, real = [9], __import__("os").fsync

        def fsync(descriptor):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
            real(descriptor)

        full.setattr("os.fsync", fsync)
        dealer = run()
    assert "No space left on device" in str(dealer.fatal)
    assert run().fatal is None
    assert lines(results, search) == lines(whole, search)
