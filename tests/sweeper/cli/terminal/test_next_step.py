"""A run ends with what to do next."""

import pytest

from sweeper.cli.view import Store
from tests.sweeper.played import finish, run


def last_line(result) -> str:
    return result.stderr.splitlines()[-1]


@pytest.fixture
def no_store(monkeypatch):
    monkeypatch.setattr(Store, "bring_up", lambda self: None)


def test_a_run_that_has_trained_everything_names_the_report_of_the_same_trials(
    no_store, write_sweep, specs, results, tmp_path
):
    path = write_sweep()
    for spec in specs:
        finish(results, spec)
    uri = f"sqlite:///{tmp_path}/other.db"
    ended = run(results, path, "--only", "seed=0", uri=uri)
    assert ended.exit_code == 0, ended.output
    command = f"sweeper report {path} --results {results.root} --only seed=0 --tracking-uri {uri}"
    assert last_line(ended) == f"next: {command}"


def test_a_run_without_a_store_has_nothing_to_report(write_sweep, specs, results):
    path = write_sweep()
    for spec in specs:
        finish(results, spec)
    assert last_line(run(results, path)) == "4 planned: 4 done"


def test_a_run_with_failed_trials_says_how_to_train_them_again(no_store, write_sweep, specs, results):
    path = write_sweep()
    for spec in specs:
        finish(results, spec, status="failed", message="a fault", step=2)
    ended = run(results, path)
    assert ended.exit_code == 3
    assert last_line(ended) == (
        "next: remove the cause of a failure and add --retry-failed to train failed trials again"
    )
