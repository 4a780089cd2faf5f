"""A dealer that takes trials from a source: empty now and not over, one trial to several targets, packs, crashes."""

import pytest

from sweeper.dealing.dealer import Dealer
from sweeper.dealing.source import Deal
from sweeper.results.paths import Results
from sweeper.running.searches import SearchSource, _Open
from sweeper.search.searching import Searching
from sweeper.worker.work import Work
from tests.sweeper.plugged import PACKED
from tests.sweeper.search.hunt import WORKER, finish, lines, search_in, write_hunt

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
