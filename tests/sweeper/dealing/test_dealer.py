"""What the dealer deals, journals and takes back, with workers played by the test."""

import dataclasses
import errno
import os
import time
import weakref

import pytest

from sweeper.dealing import dealt_trial
from sweeper.dealing.dealer import LOST_RETRIES, Dealer, Worker
from sweeper.dealing.waiting_list import Waiting
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import ResultsError
from sweeper.sweepfile.sweep import load
from sweeper.worker.work import MemberUpdate, Update
from tests.chaos.program import COMMAND_SWEEP

TRAINING = (1, "training", {"query_loss": 1.0, "query_accuracy": 0.5})


@pytest.fixture
def noted():
    return []


@pytest.fixture
def make_dealer(specs, results, noted):
    def make(chosen=specs, pack=1, device="cpu", engine="loop", clock=time.monotonic) -> Dealer:
        data = {"strokes": {"name": "strokes", "path": "/nowhere.npy", "digest": "0"}}
        worker = Worker(device=device, threads=1, pack=pack, data=data, timeout_s=60.0)
        sweeps = {spec.trial_id: "tiny" for spec in chosen}
        engines = {spec.trial_id: engine for spec in chosen}
        return Dealer(chosen, sweeps=sweeps, engines=engines, results=results, worker=worker, note=noted.append,
                      clock=clock)  # fmt: skip

    return make


def update(assignment, status="running", step=1, records=(TRAINING,), message="") -> Update:
    members = [
        MemberUpdate(
            trial_id=member["trial_id"],
            attempt=member["attempt"],
            step=step,
            records=list(records),
            status=status,
            message=message,
        )
        for member in assignment["members"]
    ]
    return Update(pack=assignment["pack"], members=members, over=status != "running")


def journal_of(results, spec):
    return fold(results.trial(spec.trial_id).journal)


def test_every_trial_is_dealt_once_and_done_is_the_drivers_line(make_dealer, specs, results, noted):
    dealer = make_dealer()
    dealt = []
    while (assignment := dealer.next_assignment()) is not None:
        (member,) = assignment["members"]
        dealt.append(member["trial_id"])
        assert journal_of(results, dealer.trials[member["trial_id"]].spec)["status"] == "running"
        dealer.receive(update(assignment))
        dealer.receive(update(assignment, "done", step=4))
        dealer.ended(assignment["pack"])
    assert dealt == [spec.trial_id for spec in specs]
    assert dealer.over
    assert {journal_of(results, spec)["done_step"] for spec in specs} == {4}
    assert set(noted) == set(dealt)
    assert all(holder_of(results.trial(spec.trial_id)) is None for spec in specs)


def test_the_attempt_is_journalled_before_it_is_dealt_with_all_that_a_resume_needs(make_dealer, specs, results):
    assignment = make_dealer().next_assignment()
    attempt = journal_of(results, specs[0])["attempts"][0]
    assert attempt["attempt"] == assignment["members"][0]["attempt"] == 1
    wanted = {"engine", "threads", "pack", "device", "versions", "commit", "dirty", "host", "processor", "digest"}
    assert wanted <= attempt.keys()


def test_a_resume_keeps_the_first_attempts_engine_and_threads(make_dealer, specs, results):
    first = make_dealer(specs[:1])
    first.next_assignment()
    first.stop()
    first.end_all()
    again = make_dealer(specs[:1], engine="vmap")
    again._worker = dataclasses.replace(again._worker, threads=7)
    assignment = again.next_assignment()
    assert (assignment["engine"], assignment["threads"]) == ("loop", 1)
    assert assignment["members"][0]["attempt"] == 2


def test_what_a_journal_remembers_of_its_records_goes_with_the_end_of_the_trial(make_dealer, specs):
    dealer = make_dealer(specs[:1])
    assignment = dealer.next_assignment()
    journal = weakref.ref(dealer.trials[specs[0].trial_id].journal)
    dealer.receive(update(assignment))
    assert journal() is not None
    dealer.receive(update(assignment, "done", step=4))
    assert journal() is None


def test_a_lost_worker_puts_its_trial_back_three_times_ever_later(make_dealer, specs, results):
    now = [1000.0]
    dealer = make_dealer(specs[:1], clock=lambda: now[0])
    waits = []
    for attempt in (1, 2, 3, 4):
        began = now[0]
        while (assignment := dealer.next_assignment()) is None:
            now[0] += 0.5
        waits.append(now[0] - began)
        assert assignment["members"][0]["attempt"] == attempt
        dealer.ended(assignment["pack"])
    assert dealer.over
    assert waits == [0.0, 2.0, 4.0, 8.0]
    record = journal_of(results, specs[0])
    assert (record["status"], record["message"]) == ("failed", "its worker was lost 4 times")


def test_reports_of_a_past_attempt_are_dropped(make_dealer, specs, results):
    now = [1000.0]
    dealer = make_dealer(specs[:1], clock=lambda: now[0])
    stale = dealer.next_assignment()
    dealer.ended(stale["pack"])
    now[0] += 2.0
    dealer.next_assignment()
    dealer.receive(update(stale, "done", step=4))
    assert journal_of(results, specs[0])["status"] == "running"
    assert journal_of(results, specs[0])["training"]["step"] == []


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_one_trials_trouble_leaves_the_others_going(make_dealer, specs, results, status):
    dealer = make_dealer()
    dealer.receive(update(dealer.next_assignment(), status, message="Traceback\nValueError: because"))
    dealer.receive(update(dealer.next_assignment(), "done", step=4))
    assert [journal_of(results, spec)["status"] for spec in specs[:2]] == [status, "done"]
    assert not dealer.over


def test_stopping_takes_back_what_is_out_as_interrupted(make_dealer, specs, results):
    dealer = make_dealer()
    assignment = dealer.next_assignment()
    dealer.receive(update(assignment))
    dealer.stop()
    assert dealer.next_assignment() is None
    dealer.end_all()
    assert (journal_of(results, specs[0])["status"], journal_of(results, specs[0])["step"]) == ("interrupted", 1)
    assert journal_of(results, specs[1]) is None


def test_a_trial_that_another_run_holds_is_skipped_and_named(make_dealer, specs, results):
    lock = Lock(results.trial(specs[0].trial_id))
    assert lock.take()
    dealer = make_dealer()
    assert dealer.next_assignment()["members"][0]["trial_id"] == specs[1].trial_id
    skipped = dealer.changes.get_nowait()
    assert (skipped.spec, skipped.phase) == (specs[0], "skipped")
    assert skipped.message.startswith("held by process ")
    lock.release()


def test_a_trial_does_not_move_between_devices(make_dealer, specs, results):
    first = make_dealer(specs[:1], device="cuda")
    first.next_assignment()
    first.stop()
    first.end_all()
    other = make_dealer(specs[:1])
    assert other.next_assignment() is None
    assert other.changes.get_nowait().message == "began on cuda; go on with --device cuda"
    assert holder_of(results.trial(specs[0].trial_id)) is None


def test_a_pack_holds_new_trials_that_are_alike_but_for_what_a_pack_may_differ_in(make_dealer, specs):
    dealer = make_dealer(pack=4)
    packs = []
    while (assignment := dealer.next_assignment()) is not None:
        packs.append([member["trial_id"] for member in assignment["members"]])
    by_steps = {spec.trial_id: spec.config.inner_steps for spec in specs}
    assert [[by_steps[trial] for trial in pack] for pack in packs] == [[1, 1], [2, 2]]


def test_a_pack_never_mixes_engines(make_dealer, specs):
    dealer = make_dealer(pack=4)
    for trial, engine in zip(dealer.trials.values(), ("fused", "compiled", "compiled", "compiled"), strict=True):
        trial.engine = engine
    dealer._waiting = Waiting(dealer.trials.values(), dealer._opening.point)
    packs = []
    while (assignment := dealer.next_assignment()) is not None:
        packs.append((assignment["engine"], len(assignment["members"])))
    assert packs == [("fused", 1), ("compiled", 1), ("compiled", 2)]


def test_going_on_with_other_kernels_is_said_and_journalled(make_dealer, specs, results, monkeypatch):
    first = make_dealer(specs[:1], engine="compiled")
    first.next_assignment()
    first.stop()
    first.end_all()
    began = journal_of(results, specs[0])["attempts"][0]["kernels"]
    assert began.keys() == {"instruction_set", "numba", "llvmlite"}
    now = began | {"numba": "9.9"}
    monkeypatch.setattr(dealt_trial, "kernels", lambda trainer, engine: now)
    again = make_dealer(specs[:1])
    again.next_assignment()
    assert "goes on with" in (sentence := again.changes.get_nowait()) and "numba 9.9" in sentence
    assert journal_of(results, specs[0])["attempts"][1]["kernels"] == now


def test_out_of_memory_halves_a_pack_and_fails_a_trial_alone(make_dealer, write_sweep, results):
    specs = expand(load(write_sweep("seeds: 4", "  inner_steps: [1]")))
    dealer = make_dealer(specs, pack=4)
    sizes = []
    while (assignment := dealer.next_assignment()) is not None:
        sizes.append(len(assignment["members"]))
        dealer.receive(update(assignment, "memory", records=(), message="out of memory"))
        dealer.ended(assignment["pack"])
    assert sorted(sizes, reverse=True) == [4, 2, 2, 1, 1, 1, 1]
    assert {journal_of(results, spec)["status"] for spec in specs} == {"failed"}


def test_a_trial_that_another_run_has_ended_meanwhile_is_not_trained_again(make_dealer, specs, results):
    ours, other = make_dealer(specs[:1]), make_dealer(specs[:1])
    assignment = other.next_assignment()
    other.receive(update(assignment, "diverged", message="diverged at step 1"))
    assert ours.next_assignment() is None
    assert ours.over
    assert ours.changes.get_nowait().message == "diverged at step 1, since this run began"
    assert len(journal_of(results, specs[0])["attempts"]) == 1


def test_done_is_journalled_at_the_step_trained_to_not_the_furthest_ever_recorded(make_dealer, specs, results):
    """A kill can leave records further than any checkpoint; a shorter target then ends before them."""
    first = make_dealer(specs[:1])
    first.receive(update(first.next_assignment(), step=20))
    first.stop()
    first.end_all()
    again = make_dealer(specs[:1])
    again.receive(update(again.next_assignment(), "done", step=4))
    assert journal_of(results, specs[0])["done_step"] == 4


def test_a_full_disk_stops_the_run_and_says_what_to_do(make_dealer, specs, monkeypatch):
    dealer = make_dealer()
    assignment = dealer.next_assignment()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    dealer.receive(update(assignment))
    assert dealer.stopping.is_set()
    assert isinstance(dealer.fatal, ResultsError)
    assert "No space left on device" in str(dealer.fatal)
    assert dealer.fatal.exit_code == 4


def test_an_error_in_a_pack_fails_only_the_trial_that_has_it_alone(make_dealer, write_sweep, results):
    specs = expand(load(write_sweep("seeds: 2", "  inner_steps: [1]")))
    dealer = make_dealer(specs, pack=2)
    guilty, sizes = specs[0].trial_id, []
    while (assignment := dealer.next_assignment()) is not None:
        members = [member["trial_id"] for member in assignment["members"]]
        sizes.append(len(members))
        dealer.receive(update(assignment, "failed" if guilty in members else "done", message="ValueError: x"))
        dealer.ended(assignment["pack"])
    assert sizes == [2, 1, 1]
    assert [journal_of(results, spec)["status"] for spec in specs] == ["failed", "done"]


def test_a_trial_that_failed_on_its_way_to_a_shorter_target_is_not_blamed_on_another_run(
    make_dealer, write_sweep, specs, results
):
    first = make_dealer(specs[:1])
    first.receive(update(first.next_assignment(), "failed", message="ValueError: x"))
    (longer,) = (spec for spec in expand(load(write_sweep("  outer_steps: 6"))) if spec.trial_id == specs[0].trial_id)
    again = make_dealer([longer])
    assert again.next_assignment() is None
    assert again.changes.get_nowait().message == "failed at step 1: ValueError: x, since this run began"


def test_a_trial_that_an_unfit_machine_gives_back_is_dealt_again_however_often(make_dealer, specs, results):
    dealer = make_dealer(specs[:1])
    for attempt in range(1, LOST_RETRIES + 3):
        assignment = dealer.next_assignment()
        assert assignment["members"][0]["attempt"] == attempt
        dealer.receive(update(assignment, "unfit", records=(), message="torch is 1 there"))
        dealer.ended(assignment["pack"])
        assert journal_of(results, specs[0])["status"] == "interrupted"
        assert not dealer.over
    last = dealer.next_assignment()
    dealer.receive(update(last, "done", step=4))
    dealer.ended(last["pack"])
    assert journal_of(results, specs[0])["status"] == "done"
    assert dealer.over


def test_a_driver_whose_trial_another_has_taken_over_leaves_it_and_trains_the_others(make_dealer, specs, results):
    """As after the lock files were deleted under two drivers, or where locks exclude nobody."""
    ours, other = make_dealer(specs[:2]), make_dealer(specs[:1])
    first = ours.next_assignment()
    results.trial(specs[0].trial_id).lock.unlink()
    theirs = other.next_assignment()
    assert theirs["members"][0]["attempt"] == 2
    ours.receive(update(first, "done", step=4))
    ours.ended(first["pack"])
    assert ours.trials[specs[0].trial_id].phase == "skipped"
    assert ours.fatal is None
    second = ours.next_assignment()
    assert second["members"][0]["trial_id"] == specs[1].trial_id
    other.receive(update(theirs, "done", step=4))
    record = journal_of(results, specs[0])
    assert (record["status"], len(record["attempts"])) == ("done", 2)
    assert results.trial(specs[0].trial_id).journal.read_bytes().count(b'"kind":"done"') == 1


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EFBIG, errno.ENOSPC])
def test_storage_that_fails_a_worker_interrupts_its_trial_and_ends_the_run(make_dealer, specs, results, number):
    dealer = make_dealer(specs[:1])
    assignment = dealer.next_assignment()
    message = (
        f"Traceback (most recent call last):\n  File\nOSError: [Errno {number}] {os.strerror(number)}: '/a/b.ckpt'"
    )
    dealer.receive(update(assignment, "storage", records=(), message=message))
    dealer.ended(assignment["pack"])
    assert journal_of(results, specs[0])["status"] == "interrupted"
    assert f"{os.strerror(number)}: '/a/b.ckpt'" in str(dealer.fatal)


@pytest.mark.parametrize(
    ("status", "length", "stopped", "end"),
    [
        ("failed", "steps", True, "interrupted"),
        ("failed", "steps", False, "failed"),
        ("done", None, True, "interrupted"),
        ("done", "steps", True, "done"),
    ],
)
def test_a_program_that_ends_while_its_run_stops_may_have_been_ended_by_the_same_signal(
    write_sweep, results, status, length, stopped, end
):
    """Slurm sends SIGTERM to the program that trains as well; one that has saved and left is not done."""
    path = write_sweep()
    path.write_text(COMMAND_SWEEP.replace("  length: steps\n", "  length: steps\n" if length else "")
                    .replace("STEPS", "1").replace("SEEDS", "1").replace("NAME", "walk"))  # fmt: skip
    (path.parent / "walk.py").write_text("")
    spec = expand(load(path))[0]
    worker = Worker(device="cpu", threads=1, pack=1, data={}, timeout_s=60.0)
    dealer = Dealer([spec], sweeps={spec.trial_id: "walk"}, engines={spec.trial_id: "python"}, results=results,
                    worker=worker, note=lambda _: None)  # fmt: skip
    assignment = dealer.next_assignment()
    if stopped:
        dealer.stop()
    records = [(1, "readings", {"loss": 1.0})]
    dealer.receive(update(assignment, status, records=records, message="ended with signal SIGTERM"))
    found = journal_of(results, spec)
    assert found["status"] == end
    assert len(found["readings"]) == 1
