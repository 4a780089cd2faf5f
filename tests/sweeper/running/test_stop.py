"""What `sweeper stop` does to a run and to one trial, and what becomes of requests that nobody can obey."""

import json
import re

import pytest

from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results, step_of
from sweeper.results.stop_requests import STOPPED, Request, living_runs
from sweeper.sweepfile.sweep import load
from sweeper.worker.work import Assignment, Member, Work
from tests.budget import budget
from tests.sweeper.assigned import assigned
from tests.sweeper.command import start, sweeper
from tests.sweeper.dealing.test_dealer import journal_of, make_dealer, noted, update  # noqa: F401, the fixtures among them
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until

INLINE = ("--executor", "inline")
LONG = TINY.replace("outer_steps: 4", "outer_steps: 20000").replace("eval_every: 2", "eval_every: 0")


def poll(dealer):
    dealer._polled_s = 0.0  # a second hasn't passed in a test
    dealer.poll()


def ask_trial(results, trial_id):
    paths = results.trial(trial_id)
    return Request(results, paths, holder_of(paths))


@pytest.fixture
def run_lock(results):
    lock = Lock(results.run("tiny"))
    assert lock.take()
    yield lock
    lock.release()


def test_a_request_to_the_run_stops_it_and_is_taken(make_dealer, results, run_lock):  # noqa: F811
    dealer = make_dealer()
    dealer.next_assignment()
    request = Request(results, run_lock.paths, living_runs(results)["tiny"])
    assert not request.obeyed
    poll(dealer)
    assert (dealer.stop_requested, dealer.stopping.is_set()) == (True, True)
    assert not request.withdraw()
    dealer.end_all()
    run_lock.release()
    assert request.obeyed
    assert list(results.stops.iterdir()) == []


def test_the_driver_looks_once_a_second(make_dealer, results, run_lock):  # noqa: F811
    dealer = make_dealer()
    poll(dealer)
    Request(results, run_lock.paths, living_runs(results)["tiny"])
    dealer.poll()
    assert not dealer.stop_requested


@pytest.mark.parametrize("change", [{"since_ms": 1}, {"pid": 1}, {"host": "elsewhere"}])
def test_a_request_from_before_the_run_is_thrown_away(make_dealer, results, run_lock, change):  # noqa: F811
    dealer = make_dealer()
    (assignment_of,) = dealer.next_assignment()["members"]
    trial = results.trial(assignment_of["trial_id"])
    Request(results, run_lock.paths, holder_of(run_lock.paths) | change)
    Request(results, trial, holder_of(trial) | change)
    poll(dealer)
    assert not dealer.stopping.is_set()
    assert dealer.stopped_trials == frozenset()
    assert list(results.stops.iterdir()) == []


def test_what_is_no_request_is_thrown_away_too(make_dealer, results):  # noqa: F811
    results.stops.mkdir(parents=True)
    for name, text in (("tiny.run", "{"), ("other.run", "[]"), ("0123456789abcdef.trial", "")):
        (results.stops / name).write_text(text)
    dealer = make_dealer()
    poll(dealer)
    assert not dealer.stopping.is_set()
    assert list(results.stops.iterdir()) == []


def test_a_request_to_another_living_run_is_left_for_it(make_dealer, results, run_lock):  # noqa: F811
    other = holder_of(run_lock.paths) | {"pid": 1}
    run_lock.paths.lock.write_text(json.dumps(other))
    Request(results, run_lock.paths, other)
    dealer = make_dealer()
    poll(dealer)
    assert not dealer.stopping.is_set()
    assert [path.name for path in results.stops.iterdir()] == ["tiny.run"]


def test_one_trial_is_left_and_not_dealt_again_while_the_others_go_on(make_dealer, specs, results):  # noqa: F811
    dealer = make_dealer()
    assignment = dealer.next_assignment()
    (member,) = assignment["members"]
    request = ask_trial(results, member["trial_id"])
    poll(dealer)
    mark = results.trial(member["trial_id"]).stop_mark(1)
    assert mark.exists()
    dealer.receive(update(assignment, "stopped", step=3))
    dealer.ended(assignment["pack"])
    record = journal_of(results, specs[0])
    assert (record["status"], record["message"], record["step"]) == ("interrupted", STOPPED, 3)
    assert not mark.exists()
    assert request.obeyed
    dealt = []
    while (assignment := dealer.next_assignment()) is not None:
        dealt += [member["trial_id"] for member in assignment["members"]]
        dealer.receive(update(assignment, "done", step=4))
    assert dealt == [spec.trial_id for spec in specs[1:]]
    assert dealer.stopped_trials == {specs[0].trial_id}


def test_a_trial_whose_worker_is_lost_before_it_obeys_is_left_all_the_same(make_dealer, specs, results):  # noqa: F811
    dealer = make_dealer(specs[:1])
    assignment = dealer.next_assignment()
    ask_trial(results, specs[0].trial_id)
    poll(dealer)
    dealer.ended(assignment["pack"])
    assert journal_of(results, specs[0])["message"] == STOPPED
    assert dealer.over


def test_a_request_is_obeyed_between_two_attempts_too(make_dealer, specs, results):  # noqa: F811
    dealer = make_dealer(specs[:1])
    assignment = dealer.next_assignment()
    ask_trial(results, specs[0].trial_id)
    dealer.ended(assignment["pack"])
    assert dealer.trials[specs[0].trial_id].phase == "waiting"
    poll(dealer)
    assert dealer.over
    assert [change.phase for change in iter_changes(dealer)] == ["running", "interrupted", "interrupted"]


def iter_changes(dealer):
    while not dealer.changes.empty():
        yield dealer.changes.get()


def assignment_for(specs, results, tmp_path) -> Assignment:
    from trainers.data.datasets import prepare

    data = prepare("strokes", tmp_path)
    members = [
        Member(
            trial_id=spec.trial_id,
            attempt=1,
            folder=str(results.trial(spec.trial_id).folder),
            config=spec.config.model_dump(),
        )
        for spec in specs
    ]
    return assigned(members, str(data.path), data.digest, chunk_s=0.05, timeout_s=600.0)


@pytest.mark.slow
def test_a_marked_member_is_saved_and_left_and_the_rest_of_its_pack_trains_to_the_end(
    write_sweep, results, tmp_path, monkeypatch
):
    monkeypatch.setattr("sweeper.worker.work.CHECKPOINT_EVERY_S", float("inf"))  # also where a machine is busy
    specs = expand(load(write_sweep("  outer_steps: 40", "  inner_steps: [1]")))
    left, other = (results.trial(spec.trial_id) for spec in specs)
    work = Work(assignment_for(specs, results, tmp_path))
    assert [member["status"] for member in work.step()["members"]] == ["running", "running"]
    left.stop_mark(1).touch()
    update = work.step()
    assert [member["status"] for member in update["members"]] == ["stopped", "running"]
    assert not update["over"]
    stopped_at = update["members"][0]["step"]
    while not update["over"]:
        update = work.step()
    assert [member["status"] for member in update["members"]] == ["stopped", "done"]
    assert [step_of(path) for path in left.checkpoints(40)] == [stopped_at]
    assert step_of(other.checkpoints(40)[0]) == 40
    assert f" stopped at step {stopped_at}, at most" in left.log(1).read_text().splitlines()[-1]
    assert " done at step 40, at most" in other.log(1).read_text().splitlines()[-1]


@pytest.mark.slow
def test_with_nothing_running_stop_says_so_and_leaves_nothing_behind(specs, results, make_dealer, tmp_path):  # noqa: F811
    ended = sweeper("stop", cwd=tmp_path)
    assert (ended.code, ended.err) == (2, f"nothing runs on {tmp_path}/results\n")
    dealer = make_dealer()
    dealer.next_assignment()
    dealer.stop()
    dealer.end_all()
    ended = sweeper("stop", specs[0].trial_id[:5], cwd=tmp_path)
    assert ended.code == 2
    expected = f"{specs[0].trial_id} is not being trained; its journal says interrupted at step 0\n"
    assert ended.err == expected
    assert sweeper("stop", "zzzz", cwd=tmp_path).code == 2
    assert not results.stops.exists()


@pytest.mark.slow
def test_a_run_that_does_not_look_is_named_and_the_request_withdrawn(results, run_lock, tmp_path):
    ended = sweeper("stop", "--wait", "0.3", cwd=tmp_path)
    assert ended.code == 4
    assert "has not read the request in 0.3 s, so it is withdrawn" in ended.err
    assert list(results.stops.iterdir()) == []


def running(results: Results) -> list[str]:
    """Return the ids of the trials that hold a record and a lock."""
    return [
        path.parent.name
        for path in sorted((results.root / "trials").glob("*/journal.jsonl"))
        if holder_of(results.trial(path.parent.name)) and '"record"' in path.read_text()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("executor", budget([INLINE], [INLINE, ("--workers", "2")]))
def test_from_another_shell_one_trial_stops_then_the_run_and_the_rerun_goes_on_from_there(tmp_path, executor):
    path = tmp_path / "tiny.yaml"
    path.write_text(LONG)
    results = Results.at(tmp_path / "results")
    process = start(["run", path, "--tracking-uri", "none", *executor], tmp_path)
    wait_until(lambda: running(results))
    first = running(results)[0]
    one = sweeper("stop", first[:6], cwd=tmp_path)
    assert one.code == 0, one.err
    assert f"{first} is no longer trained; its journal says interrupted at step" in one.err
    paths = results.trial(first)
    record = fold(paths.journal)
    assert record["message"] == STOPPED
    assert step_of(paths.checkpoints(10**6)[0]) == record["step"] > 0
    wait_until(lambda: [trial_id for trial_id in running(results) if trial_id != first])
    every = sweeper("stop", cwd=tmp_path)
    assert (every.code, every.err) == (0, "tiny has stopped; `sweeper run` goes on with it\n")
    _, err = process.communicate(timeout=HANG_S)
    assert "Traceback" not in err
    assert len(fold(paths.journal)["attempts"]) == 1
    assert list(results.stops.iterdir()) == []
    assert process.returncode == 130, err
    assert "The same command goes on from there" in err
    for spec in expand(load(path)):
        record = fold(results.trial(spec.trial_id).journal)
        if record is not None:
            assert record["status"] == "interrupted"
            assert step_of(results.trial(spec.trial_id).checkpoints(10**6)[0]) >= record["step"]
    again = start(["run", path, "--only", first, "--tracking-uri", "none", *INLINE], tmp_path)
    wait_until(lambda: len(fold(paths.journal)["attempts"]) == 2 and paths.log(2).exists())
    wait_until(lambda: re.search(r"continues from step [1-9]", paths.log(2).read_text()))
    assert sweeper("stop", cwd=tmp_path).code == 0
    again.communicate(timeout=HANG_S)
