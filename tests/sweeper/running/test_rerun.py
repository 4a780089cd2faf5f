"""Training finished trials from step 0 again: only if the user asks, and nothing is deleted."""

import json

import pytest

from sweeper.errors import SweepError
from sweeper.results.fold import fold
from sweeper.results.locks import Lock
from sweeper.results.supersede import supersede
from tests.sweeper.command import sweeper
from tests.sweeper.played import begin, command, finish, run
from tests.sweeper.running.test_run import final_bytes, measured


def every_file(results):
    """Return all that the results folder holds, but for what the cache and the locks of runs are allowed."""
    return {path: path.read_bytes() for path in results.root.rglob("*") if path.is_file()}


@pytest.fixture
def one_cell(write_sweep):
    return write_sweep("  inner_steps: [1]")


def test_a_rerun_keeps_the_old_folder_and_trains_the_same_bits_again_as_attempt_1(one_cell, results):
    assert run(results, one_cell).exit_code == 0
    before, first = measured(results), command("plan", one_cell, "--results", results.root, "--json")
    (again, other) = (trial["trial_id"] for trial in json.loads(first.stdout)["trials"])
    kept = results.trial(again).journal.read_bytes()
    bits = final_bytes(results, again)
    untouched = results.trial(other).journal.read_bytes()
    for number in (1, 2):
        told = run(results, one_cell, "--rerun", "seed=0", "--yes")
        assert told.exit_code == 0, told.stderr
        assert "1 to run on cpu" in told.stderr
        assert "1 of them from step 0 again" in told.stderr
        assert f"{again} running to 4" in told.stderr
        assert (results.superseded(again, number) / "journal.jsonl").exists()
        attempts = fold(results.trial(again).journal)["attempts"]
        assert [attempt["attempt"] for attempt in attempts] == [1]
        assert final_bytes(results, again) == bits
    assert (results.superseded(again, 1) / "journal.jsonl").read_bytes() == kept
    assert sorted(path.name for path in (results.root / "superseded").iterdir()) == [f"{again}-1", f"{again}-2"]
    assert measured(results) == before
    assert results.trial(other).journal.read_bytes() == untouched


def test_without_yes_and_without_a_terminal_a_rerun_is_refused_and_nothing_changes(write_sweep, results, specs):
    for spec in specs[:3]:
        finish(results, spec)
    path = write_sweep()
    command("plan", path, "--results", results.root)
    before = every_file(results)
    for selector, count in (("seed=0", "2 trials"), (specs[1].trial_id, "1 trial")):
        told = run(results, path, "--rerun", selector)
        assert (told.exit_code, told.stdout) == (2, "")
        assert told.stderr.splitlines()[-1] == (
            f"--rerun trains {count} from step 0 again; the old results move to {results.root}/superseded; "
            "nothing was changed; agree with --yes"
        )
    assert every_file(results) == before


def test_a_rerun_of_trials_that_never_began_needs_no_yes(one_cell, results):
    told = run(results, one_cell, "--rerun", "seed=0", "--only", "seed=0")
    assert told.exit_code == 0
    assert "from step 0 again" not in told.stderr
    assert not (results.root / "superseded").exists()


def test_if_one_trial_is_held_none_is_moved(write_sweep, results, specs):
    for spec in specs:
        finish(results, spec)
    held = Lock(results.trial(specs[2].trial_id))
    assert held.take()
    before = every_file(results).keys()
    trial_id = specs[2].trial_id
    sentence = f"{trial_id} is being trained; stop it with `sweeper stop {trial_id}` before a rerun"
    with pytest.raises(SweepError) as caught:
        supersede(results, [spec.trial_id for spec in specs])
    assert str(caught.value) == sentence
    told = run(results, write_sweep(), "--rerun", "order=first", "--yes")
    assert told.exit_code == 2
    assert told.stderr.splitlines()[-1] == sentence
    assert {path for path in every_file(results) if "trials" in path.parts} >= {
        path for path in before if "trials" in path.parts
    }
    assert not (results.root / "superseded").exists()
    held.release()
    supersede(results, [spec.trial_id for spec in (*specs, *specs)])
    assert sorted(path.name for path in (results.root / "superseded").iterdir()) == sorted(
        f"{spec.trial_id}-1" for spec in specs
    )


def test_a_trial_that_is_put_aside_can_be_locked_at_once(results, specs):
    begin(results, specs[0])
    supersede(results, [specs[0].trial_id])
    assert Lock(results.trial(specs[0].trial_id)).take()


@pytest.mark.slow
def test_the_store_keeps_the_old_training_as_superseded_and_shows_the_new_one(one_cell, results, tmp_path):
    from mlflow import MlflowClient

    arguments = ("run", one_cell, "--executor", "inline", "--only", "seed=0")
    assert sweeper(*arguments, cwd=tmp_path).code == 0
    again = sweeper(*arguments, "--rerun", "seed=0", "--yes", cwd=tmp_path)
    assert again.code == 0, again.err
    client = MlflowClient(f"sqlite:///{results.root}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["sweeper.kind"] for run in runs) == ["cell", "superseded", "sweep", "trial"]
    kinds = {run.data.tags["sweeper.kind"]: run for run in runs}
    del kinds["cell"], kinds["sweep"]
    assert kinds["superseded"].data.metrics == kinds["trial"].data.metrics
    assert kinds["superseded"].data.tags["trial_id"] == kinds["trial"].data.tags["trial_id"]
    assert kinds["superseded"].info.start_time < kinds["trial"].info.start_time
    for run_of_kind in kinds.values():
        history = client.get_metric_history(run_of_kind.info.run_id, "test_accuracy/zeroed/inner_steps")
        assert [point.step for point in history] == [2, 4]
