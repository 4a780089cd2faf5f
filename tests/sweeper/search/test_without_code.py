"""A search whose trainer's code is absent: its id and its trials are those that its journal knows."""

from sweeper.planning.searched import searches_of
from sweeper.results.known_trainers import keep, sweep_in
from sweeper.results.paths import Results
from sweeper.search.searching import Searching
from sweeper.search.trials import known
from tests.sweeper.plugged import TOY
from tests.sweeper.search.hunt import finish, search_in, write_hunt

CODE = TOY + "\n\nTOY.recipe = lambda config: {'draws': 2}\n"


def test_a_search_and_its_trials_are_known_by_what_was_noted(tmp_path):
    path = write_hunt(tmp_path, code=CODE)
    search, results = search_in(path), Results.at(tmp_path / "results")
    finish(results, search)
    grown = search_in(write_hunt(tmp_path, "  trials: 10", code=CODE))
    searching = Searching(grown, results)
    searching.open()
    assert searching.next() is not None  # asked for, and never begun
    searching.close()
    trainer = search.trainer
    keep(results, trainer, search.cell.found.reference)
    wanted = [(one.spec.trial_id, one.spec.target, one.role) for one in known(grown, results).trials]
    assert search.facts["recipe"] == {"draws": 2}
    (tmp_path / "toy.py").unlink()
    (found,) = searches_of(sweep_in(path, results))
    assert type(found.trainer) is not type(trainer)
    assert found.search_id == search.search_id
    assert [(one.spec.trial_id, one.spec.target, one.role) for one in known(found, results).trials] == wanted
    (new,) = searches_of(sweep_in(write_hunt(tmp_path, "  sampler: sobol", code=CODE), results))
    assert new.search_id not in (search.search_id, found.search_id)
