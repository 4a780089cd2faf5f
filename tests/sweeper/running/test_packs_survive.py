"""Packs go on as packs from their checkpoints, and each member ends with the bits of a solo run.

Dealer, journals, checkpoints and training are real. A kill is played: the worker is dropped and its pack taken back.
"""

import json
import signal
import time
from collections import Counter

import pytest

from sweeper.dealing.dealer import LOST_RETRIES
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results, step_of
from sweeper.sweepfile.sweep import load
from sweeper.worker import work as work_module
from sweeper.worker.work import Work
from tests.processes import state_of
from tests.sweeper.command import start, sweeper
from tests.sweeper.driven_run import DrivenRun
from tests.sweeper.tiny import write_tiny
from tests.waiting import HANG_S, wait_until
from trainers.data.datasets import prepare
from trainers.maml.checkpoints.checkpoint import read
from trainers.maml.evaluation import position

pytestmark = pytest.mark.slow

OTHERS = ("fused", "loop", "vmap")
SIZE = 4


def lines(outer_steps: int = 6, eval_every: int = 3) -> tuple[str, ...]:
    """Return the lines by which the sweep here differs from the tiny one: as many trials as a pack has members."""
    return f"seeds: {SIZE}", "  inner_steps: [1]", f"  outer_steps: {outer_steps}", f"  eval_every: {eval_every}"


@pytest.fixture(scope="module")
def strokes(tmp_path_factory):
    return prepare("strokes", tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Save a checkpoint after each chunk, and don't wait for the disk: no test here cuts the power."""
    monkeypatch.setattr(work_module, "CHECKPOINT_EVERY_S", -1.0)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def endings(specs, results: Results) -> dict[str, tuple[list, bytes]]:
    """Return each trial's records in the journal, and the bytes of its last checkpoint."""
    return {
        spec.trial_id: (
            sorted(
                (line["step"], line["key"], json.dumps(line["value"]))
                for line in read_lines(results.trial(spec.trial_id).journal)
                if line["kind"] == "record"
            ),
            results.trial(spec.trial_id).checkpoints(spec.target)[0].read_bytes(),
        )
        for spec in specs
    }


def packs_of(spec, results) -> list[int]:
    return [attempt["pack"] for attempt in fold(results.trial(spec.trial_id).journal)["attempts"]]


def furthest(spec, results):
    return read(results.trial(spec.trial_id).checkpoints(spec.target)[0])


def are_together(specs, results) -> bool:
    """Say whether all trials have a checkpoint of the same outer step and number of scored episodes."""
    if not all(results.trial(spec.trial_id).checkpoints(spec.target) for spec in specs):
        return False
    states = [furthest(spec, results) for spec in specs]
    return len({(state.step, state.correct.shape[1]) for state in states}) == 1


@pytest.fixture
def planned(write_sweep):
    return expand(load(write_sweep(*lines())))


@pytest.fixture(scope="module")
def alone(tmp_path_factory, strokes):
    """Return what each engine's trials end with when each trains by itself and is never killed.

    The vmap engine rounds by the size of a pack, so with it the trials train in one pack that is never killed.
    """
    known = {}

    def endings_of(engine):
        if engine not in known:
            folder = tmp_path_factory.mktemp(f"alone-{engine}")
            specs, results = expand(load(write_tiny(folder, *lines()))), Results.at(folder / "results")
            DrivenRun(specs, results, strokes, pack=SIZE if engine == "vmap" else 1, engine=engine).finish()
            known[engine] = endings(specs, results)
        return known[engine]

    return endings_of


@pytest.mark.parametrize("engine", ["compiled", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_a_pack_that_is_killed_twice_goes_on_as_a_pack_with_the_bits_of_solo_runs(
    planned, results, strokes, alone, engine
):
    run = DrivenRun(planned, results, strokes, engine=engine)
    run.train(2)
    run.train(3)
    positions = {position(spec.config, furthest(spec, results)) for spec in planned}
    assert len(positions) == 1
    assert next(iter(positions)).step > 0
    run.finish()
    assert run.sizes == [SIZE] * 3
    assert endings(planned, results) == alone(engine)


@pytest.mark.parametrize("chunks", [0, 5, 6, 11])
def test_a_new_run_packs_what_the_last_one_left_wherever_it_was_left(planned, results, strokes, alone, chunks):
    """A chunk is a step or a scored episode: before the first, within an evaluation, after it, within the last one."""
    first = DrivenRun(planned, results, strokes)
    first.train(chunks)
    first.stop()
    again = DrivenRun(planned, results, strokes)
    again.finish()
    assert again.sizes == [SIZE]
    assert endings(planned, results) == alone("compiled")


def test_trials_that_trained_alone_to_one_step_are_packed_to_a_longer_target(
    planned, write_sweep, results, strokes, alone
):
    """This is a rung of a search: half of the trials go on, and a pack takes no longer than one."""
    short = expand(load(write_sweep(*lines(3))))
    DrivenRun(short[:2], results, strokes, pack=1).finish()
    DrivenRun(short[2:], results, strokes, pack=2).finish()
    longer = DrivenRun(planned, results, strokes)
    longer.finish()
    assert longer.sizes == [SIZE]
    wanted = alone("compiled")
    for trial_id, (records, _) in endings(planned, results).items():
        assert [record for record in records if record[:2] != (3, "scores")] == wanted[trial_id][0]


def spoil(spec, results):
    """Change one byte of a parameter in the furthest checkpoint; only its digest shows it."""
    path = results.trial(spec.trial_id).checkpoints(spec.target)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("engine", ["compiled", pytest.param("loop", marks=pytest.mark.slow)])
def test_a_member_whose_checkpoint_is_damaged_leaves_the_pack_and_the_others_keep_their_state(
    planned, results, strokes, alone, engine
):
    run = DrivenRun(planned, results, strokes, engine=engine)
    run.train(3)
    damaged = planned[1]
    spoilt, kept = spoil(damaged, results), furthest(planned[0], results).step
    run.finish()
    assert run.sizes == [SIZE, SIZE, 1]
    assert [packs_of(spec, results) for spec in planned] == [[4, 4], [4, 4, 1], [4, 4], [4, 4]]
    log = results.trial(damaged.trial_id).log(2).read_text()
    assert f"skipped: {spoilt}: its content does not match its digest" in log
    (end,) = [
        line for line in read_lines(results.trial(damaged.trial_id).journal)
        if line["kind"] == "interrupted" and line["attempt"] == 2
    ]  # fmt: skip
    assert end["message"] == f"it goes on from step {end['step']}, and its pack from step {kept}; it is trained alone"
    assert end["step"] == kept - 1
    assert f"continues from step {kept}, by checkpoint a1/" in results.trial(planned[0].trial_id).log(2).read_text()
    assert endings(planned, results) == alone(engine)


def test_a_member_without_a_whole_checkpoint_starts_again_alone(planned, results, strokes, alone):
    run = DrivenRun(planned, results, strokes)
    run.train(3)
    for path in results.trial(planned[0].trial_id).checkpoints(6):
        path.write_bytes(b"")
    run.finish()
    assert run.sizes == [SIZE, 1, SIZE - 1]
    assert endings(planned, results) == alone("compiled")


def test_a_member_that_leaves_is_not_taken_back_with_its_old_pack(planned, results, strokes, alone):
    """Two workers: the member trains alone in the second while its old pack loses the first."""
    run = DrivenRun(planned, results, strokes)
    run.train(3)
    spoil(planned[3], results)
    run.now_s += 10.0
    dealer = run.dealer
    pack = dealer.next_assignment()
    first = Work(pack)
    dealer.receive(first.step())
    solo = dealer.next_assignment()
    assert [member["trial_id"] for member in solo["members"]] == [planned[3].trial_id]
    second = Work(solo)
    dealer.receive(second.step())
    dealer.ended(pack["pack"])
    assert dealer.trials[planned[3].trial_id].phase == "running"
    assert {dealer.trials[spec.trial_id].phase for spec in planned[:3]} == {"waiting"}
    update = second.step()
    dealer.receive(update)
    while not update["over"]:
        update = second.step()
        dealer.receive(update)
    dealer.ended(solo["pack"])
    run.finish()
    assert run.sizes == [SIZE, SIZE - 1]
    assert endings(planned, results) == alone("compiled")


def test_a_member_that_another_process_takes_over_is_left_to_it_and_the_others_go_on(planned, results, strokes, alone):
    """The other process makes the folder of the next attempt after this one was dealt."""
    run = DrivenRun(planned, results, strokes)
    run.train(3)
    run.now_s += 10.0
    assignment = run.dealer.next_assignment()
    assert len(assignment["members"]) == SIZE
    taken = results.trial(planned[2].trial_id)
    taken.attempt(3).mkdir()
    before = sorted(path.name for path in taken.folder.glob("a*/*.ckpt"))
    work = Work(assignment)
    update = work.step()
    run.dealer.receive(update)
    assert [member["status"] for member in update["members"]] == ["running", "running", "stopped", "running"]
    while not update["over"]:
        update = work.step()
        run.dealer.receive(update)
    run.dealer.ended(assignment["pack"])
    assert run.dealer.trials[planned[2].trial_id].phase == "skipped"
    assert run.dealer.over
    assert sorted(path.name for path in taken.folder.glob("a*/*.ckpt")) == before
    wanted = alone("compiled")
    found = endings([planned[n] for n in (0, 1, 3)], results)
    assert found == {trial_id: wanted[trial_id] for trial_id in found}


def test_members_at_two_steps_are_dealt_as_two_packs(planned, results, strokes, alone):
    """As after a kill between the renames of one save, or after trials that trained apart."""
    for specs, chunks in ((planned[:2], 2), (planned[2:], 4)):
        run = DrivenRun(specs, results, strokes)
        run.train(chunks)
        run.stop()
    again = DrivenRun(planned, results, strokes)
    again.finish()
    assert again.sizes == [2, 2]
    assert endings(planned, results) == alone("compiled")


def test_members_within_one_evaluation_are_packed_by_the_episodes_that_are_scored(planned, results, strokes, alone):
    """Their checkpoints are at one step, so only the heads of the files tell them apart."""
    for specs, chunks in ((planned[:2], 4), (planned[2:], 5)):
        run = DrivenRun(specs, results, strokes)
        run.train(chunks)
        run.stop()
    found = [furthest(spec, results) for spec in planned]
    assert [(state.step, state.correct.shape[1]) for state in found] == [(3, 1), (3, 1), (3, 2), (3, 2)]
    again = DrivenRun(planned, results, strokes)
    again.finish()
    assert again.sizes == [2, 2]
    assert endings(planned, results) == alone("compiled")


def test_a_checkpoint_is_saved_for_the_whole_pack_or_for_none(planned, results, strokes, alone, monkeypatch):
    """The worker dies while it writes the third member's file."""
    run = DrivenRun(planned, results, strokes)
    run.train(2)
    real, calls = work_module.TrialPaths.checkpoint, Counter()

    def dying(self, attempt, step):
        calls[attempt] += 1
        if calls[attempt] == 3:
            raise KeyboardInterrupt
        return real(self, attempt, step)

    monkeypatch.setattr(work_module.TrialPaths, "checkpoint", dying)
    with pytest.raises(KeyboardInterrupt):
        run.train(1)
    monkeypatch.setattr(work_module.TrialPaths, "checkpoint", real)
    assert {furthest(spec, results).step for spec in planned} == {2}
    run.dealer.ended(2)
    run.finish()
    assert run.sizes == [SIZE] * 3
    assert endings(planned, results) == alone("compiled")


def test_the_last_retry_of_a_lost_pack_is_alone(planned, results, strokes, alone):
    """A member that ends every worker must not take the others with it for ever."""
    run = DrivenRun(planned, results, strokes)
    for _ in range(LOST_RETRIES):
        run.train(1)
    run.finish()
    assert run.sizes == [SIZE] * LOST_RETRIES + [1] * SIZE
    assert endings(planned, results) == alone("compiled")


def test_a_trial_that_began_with_another_engine_meanwhile_is_not_trained_with_these(planned, results, strokes):
    """Another run began it after this one had planned."""
    run = DrivenRun(planned, results, strokes)
    other = DrivenRun(planned[1:2], results, strokes, engine="loop")
    other.train(0)
    other.stop()
    run.finish()
    assert run.sizes == [SIZE - 1, 1]
    engines = [[a["engine"] for a in fold(results.trial(spec.trial_id).journal)["attempts"]] for spec in planned]
    assert engines == [["compiled"], ["loop", "loop"], ["compiled"], ["compiled"]]


def test_scores_of_a_pass_that_a_longer_target_no_longer_has_part_no_members(planned, write_sweep, results, strokes):
    """One trial stopped within the last pass of a shorter target, which the longer one does not have."""
    short = expand(load(write_sweep(*lines(2, 0))))
    long = expand(load(write_sweep(*lines(6, 0))))
    first = DrivenRun(short[:1], results, strokes)
    first.train(3)
    first.stop()
    state = furthest(short[0], results)
    assert (state.step, state.correct.shape[1]) == (2, 1)
    assert position(long[0].config, state) == (2, None, 0)
    DrivenRun(short[1:], results, strokes).finish()
    longer = DrivenRun(long, results, strokes)
    longer.finish()
    assert sum(longer.sizes) == SIZE


HASTY = """
import functools, sweeper.running.session, sweeper.worker.work
sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.05)
from sweeper.cli import main
main()
"""


def has_stopped(process) -> bool:
    """Stop `process` where it is; False if it ended before."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: process.poll() is not None or state_of(process.pid) == "T", "a process to stop", every_s=0.001)
    return process.poll() is None


def test_a_process_that_is_killed_in_the_middle_of_a_pack_leaves_one_that_goes_on(tmp_path):
    found, undisturbed = Results.at(tmp_path / "results"), Results.at(tmp_path / "alone")
    specs = expand(load(write_tiny(tmp_path, *lines(24, 8))))
    words = ["run", "tiny.yaml", "--executor", "inline", "--tracking-uri", "none"]
    reached = 0
    for _ in range(2):
        process = start([*words, "--pack", str(SIZE)], tmp_path, program=HASTY)
        while process.poll() is None:
            steps = [step_of(path) for path in (found.root / "trials").glob("*/a*/step-*.ckpt")]
            if max(steps, default=0) > reached + 3 and has_stopped(process):
                # A kill between their checkpoints would part the pack, as docs/failures.md says.
                if are_together(specs, found):
                    reached = max(steps)
                    process.kill()
                process.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == -signal.SIGKILL, err
    assert sweeper(*words, "--pack", str(SIZE), cwd=tmp_path).code == 0
    assert sweeper(*words, "--results", "alone", cwd=tmp_path).code == 0
    assert [packs_of(spec, found) for spec in specs] == [[SIZE] * 3] * SIZE
    assert endings(specs, found) == endings(specs, undisturbed)
