"""What a run decides before it trains: the trials, which of them from nothing, and what it refuses."""

from dataclasses import replace

import pytest

from sweeper.errors import SweepError
from sweeper.results.paths import Results
from sweeper.results.survey import Batch, SurveyedSweep, survey
from sweeper.running import todo as todo_module
from sweeper.running.batch import read_sweeps
from sweeper.running.todo import Room, Wishes, decide, packs, room_for
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import begin, finish, reach
from tests.sweeper.tiny import TINY

CPU = Room("cpu", "asked for", 2, 1.0)


@pytest.fixture
def batch(write_sweep, specs, results):
    """The tiny sweep with one trial done, one failed, one begun and left, and one new."""
    finish(results, specs[0])
    finish(results, specs[1], status="failed", step=1, message="out of luck")
    reach(begin(results, specs[2]), 2)
    sweep = load(write_sweep())
    return Batch(
        parts=(SurveyedSweep(sweep=sweep, experiment="tiny", specs=specs, survey=survey(results, specs)),), data={}
    )


def wishes(tmp_path, **changes):
    usual = {
        "only": (),
        "rerun": (),
        "retry_failed": False,
        "device": "cpu",
        "workers": None,
        "pack": None,
        "engine": None,
    }
    return Wishes(data_root=tmp_path, address=None, executor="inline", **(usual | changes))


def ids(specs):
    return [spec.trial_id for spec in specs]


def test_what_is_new_or_was_left_is_trained_and_what_is_done_or_failed_is_not(batch, specs, tmp_path):
    todo = decide(batch, wishes(tmp_path), CPU)
    assert ids(todo.trials) == ids(specs[2:])
    assert todo.begun == []
    assert len(todo.standings) == 4


def test_a_failed_trial_is_trained_only_when_asked_for(batch, specs, tmp_path):
    assert ids(decide(batch, wishes(tmp_path, retry_failed=True), CPU).trials) == ids(specs[1:])


def test_a_rerun_begins_from_nothing_what_has_begun_and_comes_first(batch, specs, tmp_path):
    todo = decide(batch, wishes(tmp_path, rerun=(specs[0].trial_id, specs[3].trial_id)), CPU)
    assert ids(todo.trials) == ids([specs[0], specs[3], specs[2]])
    assert ids(found.spec for found in todo.begun) == [specs[0].trial_id]


def test_only_picks_among_all_and_a_selector_that_picks_nothing_is_refused(batch, specs, tmp_path):
    todo = decide(batch, wishes(tmp_path, only=(specs[3].trial_id,)), CPU)
    assert (ids(todo.trials), len(todo.standings)) == ([specs[3].trial_id], 1)
    with pytest.raises(SweepError, match="--only"):
        decide(batch, wishes(tmp_path, only=("inner_steps=7",)), CPU)


def test_a_trial_that_began_on_a_cpu_is_not_moved_to_a_gpu(batch, tmp_path):
    with pytest.raises(SweepError, match="began on cpu"):
        decide(batch, wishes(tmp_path), Room("cuda", "asked for", 1, 1.0))


def test_an_address_is_refused_for_training_in_this_process(tmp_path):
    given = Wishes(
        data_root=tmp_path, only=(), rerun=(), retry_failed=False, device="cpu", workers=None, pack=None, engine=None,
        address="head:6379", executor="inline",
    )  # fmt: skip
    with pytest.raises(SweepError, match="not at --address head:6379"):
        room_for(given)


def test_workers_that_share_a_gpu_train_no_packs(monkeypatch, batch, tmp_path):
    monkeypatch.setattr(todo_module, "choose_device", lambda wanted: ("cuda", "2 CUDA device(s) found"))
    monkeypatch.setattr(todo_module, "default_workers", lambda device: 2)
    with pytest.raises(SweepError, match=r"--workers 4 --pack 3: workers that share a CUDA device \(there are 2\)"):
        room_for(wishes(tmp_path, device="cuda", workers=4, pack=3))
    room = room_for(wishes(tmp_path, device="cuda", workers=4))
    assert (room.workers, room.share) == (2, 0.5)
    monkeypatch.setattr(todo_module, "check_share", lambda trials, root, share: None)
    todo = decide(batch, wishes(tmp_path, only=("seed=1",)), CPU)
    assert packs(replace(todo, room=room), wishes(tmp_path, workers=4)) == (1, "workers share a GPU")


def test_two_files_of_one_name_are_refused(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    for path in (first, second):
        path.write_text(TINY)
    with pytest.raises(SweepError, match=r"a\.yaml and .*b\.yaml are both named tiny"):
        read_sweeps([first, second], Results.at(tmp_path / "results"))
