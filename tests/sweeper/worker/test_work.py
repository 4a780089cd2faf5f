"""A worker trains any trainer by the protocol alone: checkpoints, restarts, and the faults of plugs as one sentence."""

import re
from pathlib import Path

import pytest

from sweeper.results.paths import TrialPaths
from sweeper.worker import work as work_module
from sweeper.worker.work import Work
from tests.sweeper.plugged import FORGETFUL, OWN, PACKED, TOY, assigned

LOSSES = [0.5, 0.25, 0.125, 0.0625]


@pytest.fixture
def each_chunk_saved(monkeypatch):
    monkeypatch.setattr(work_module, "CHECKPOINT_EVERY_S", -1.0)


def trained(assignment):
    """Return every update of a whole training."""
    work, updates = Work(assignment), []
    while not (updates and updates[-1]["over"]):
        updates.append(work.step())
    work.save()
    return updates


def losses(updates):
    return {step: value["loss"] for each in updates for step, _, value in each["members"][0]["records"]}


def paths_of(assignment):
    (member,) = assignment["members"]
    return TrialPaths(Path(member["folder"]))


def own(body):
    return OWN.replace("BODY", body)


def end_of(updates):
    (member,) = updates[-1]["members"]
    return member["status"], member["message"]


def test_a_function_is_trained_to_its_length(tmp_path, results):
    updates = trained(assigned(tmp_path, results))
    assert losses(updates) == dict(zip(range(1, 5), LOSSES, strict=True))
    assert end_of(updates) == ("done", "")
    assert updates[-1]["members"][0]["step"] == 4


def test_a_training_goes_on_from_its_checkpoint_and_sends_its_records_again(tmp_path, results, each_chunk_saved):
    assignment = assigned(tmp_path, results)
    work = Work(assignment)
    first = [work.step(), work.step()]
    assignment["members"][0]["attempt"] = 2
    again = trained(assignment)
    assert losses(first) | losses(again) == losses(again) == dict(zip(range(1, 5), LOSSES, strict=True))
    log = paths_of(assignment).log(2).read_text()
    assert "continues from step 2, by checkpoint a1/step-00000002.ckpt" in log
    assert log.count(" loss ") == 2, log  # those of the state were logged by the first attempt


def test_a_trainer_without_a_state_saves_nothing_and_starts_again(tmp_path, results, each_chunk_saved):
    assignment = assigned(tmp_path, results, FORGETFUL)
    work = Work(assignment)
    work.step()
    work.step()
    work.save()
    assignment["members"][0]["attempt"] = 2
    assert losses(trained(assignment)) == dict(zip(range(1, 5), LOSSES, strict=True))
    assert list(paths_of(assignment).folder.glob("a*/*.ckpt")) == []
    assert "starts from step 0" in paths_of(assignment).log(2).read_text()


def test_the_generator_is_closed_before_the_states_are_saved_and_a_state_names_its_file(tmp_path, results):
    code = own("""reached = [1]
        try:
            yield Chunk(1, (RunChunk((), "running", ""),), lambda: (State(step=reached[0]),))
        finally:
            reached[0] = 3  # a program in another process went on, and has saved when it was told to stop""")
    assignment = assigned(tmp_path, results, code)
    work = Work(assignment)
    work.step()
    work.save()
    assert [path.name for path in paths_of(assignment).folder.glob("a1/*.ckpt")] == ["step-00000003.ckpt"]


def test_a_trial_that_is_stopped_alone_is_saved_where_its_training_ended(tmp_path, results):
    code = own("""reached = [1]
        try:
            yield Chunk(1, (RunChunk((), "running", ""),), lambda: (State(step=reached[0]),))
        finally:
            reached[0] = 3""")
    assignment = assigned(tmp_path, results, code)
    paths = paths_of(assignment)
    paths.stop_mark(1).parent.mkdir(parents=True, exist_ok=True)
    paths.stop_mark(1).touch()
    assert end_of(trained(assignment))[0] == "stopped"
    assert [path.name for path in paths.folder.glob("a1/*.ckpt")] == ["step-00000003.ckpt"]


@pytest.mark.parametrize(("place", "status"), [("elsewhere/own.csv", "failed"), ("own.csv", "storage")])
def test_a_file_of_the_trainer_s_own_that_is_forbidden_fails_its_trial_alone(tmp_path, results, place, status):
    assignment = assigned(tmp_path, results)
    file = Path(assignment["members"][0]["folder"], place) if status == "storage" else tmp_path / place
    body = f"        raise PermissionError(13, 'Permission denied', {str(file)!r})\n        yield\n"
    assignment = assigned(tmp_path, results, TOY.partition('        state["x"] -=')[0] + body)
    found, message = end_of(trained(assignment))
    assert found == status
    assert "PermissionError: [Errno 13] Permission denied" in message


FAULTS = {
    "an undeclared metric": (
        'yield {"lost": 1.0}', r"^trainer toy: .*step 1.*'?lost'?.*loss, error",
    ),
    "no finite number": ('yield {"loss": float("nan")}', r"^trainer toy: .*step 1.*loss.*nan"),
    "no number": ('yield {"loss": "low"}', r"^trainer toy: .*loss.*low"),
    "no mapping": ("yield 1.0", r"^trainer toy: .*1.0"),
    "never a yield": ("return\n        yield", r"^trainer toy: .*ended without a yield"),
    "an early end": ('yield {"loss": 1.0}\n        return', r"^trainer toy: .*step 1 of 4"),
    "no state": ('state["x"] = open\n        yield {"loss": 1.0}', r"^trainer toy: .*state can't be saved"),
    "an exit": ("raise SystemExit(3)", r"^trainer toy: train must not end its process.*sys.exit\(3\)"),
    "an error": ('raise KeyError("rate")', r"KeyError: 'rate'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_of_a_function_is_the_end_of_its_trial_in_one_sentence(tmp_path, results, fault, each_chunk_saved):
    body, said = FAULTS[fault]
    code = TOY.partition('        state["x"] -=')[0] + f"        {body}\n"
    status, message = end_of(trained(assigned(tmp_path, results, code)))
    assert status == "failed"
    assert re.search(said, message, re.DOTALL), message


def test_the_fault_of_a_class_of_ones_own_is_found_too(tmp_path, results):
    code = own("""yield Chunk(1, (RunChunk((Record(1, "readings", {"lost": 1.0}),), "running", ""),), tuple)""")
    said = "trainer own: train: step 1: metric 'lost' is not declared; declared are loss"
    assert end_of(trained(assigned(tmp_path, results, code))) == ("failed", said)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("point = lambda self, config, state: 3", "point must return a tuple that begins with the step, got 3"),
        ("point = lambda self, config, state: ()", "point must return a tuple that begins with the step, got ()"),
        ("save_together = lambda self, files: None", "save_together must write "),
        ("save_together = lambda self, files: [].pop()", "save_together can't save a state at step 4: IndexError"),
    ],
)
def test_a_member_that_breaks_its_promise_is_named(tmp_path, results, member, said):
    assignment = assigned(tmp_path, results, f"{PACKED}\n\nOwn.{member}\n")
    status, message = end_of(trained(assignment))
    assert status == "failed" and message.startswith(f"trainer own: {said}")


def test_a_class_of_ones_own_may_raise_that_it_diverged(tmp_path, results):
    updates = trained(assigned(tmp_path, results, own("""yield Chunk(1, (RunChunk((), "running", ""),), lambda: (None,))
        raise Diverged("loss is out of range")""")))  # fmt: skip
    assert end_of(updates) == ("diverged", "loss is out of range")
    assert updates[-1]["members"][0]["step"] == 1


def test_a_checkpoint_of_a_trainer_that_resumes_no_more_is_not_read(tmp_path, results, each_chunk_saved):
    Work(assigned(tmp_path, results)).step()
    assignment = assigned(tmp_path, results, FORGETFUL)
    assignment["members"][0]["attempt"] = 2
    assert losses(trained(assignment)) == dict(zip(range(1, 5), LOSSES, strict=True))
    assert "starts from step 0" in paths_of(assignment).log(2).read_text()


def test_divergence_is_an_end_of_its_own(tmp_path, results):
    code = TOY.replace(
        "        yield {", '        if state["x"] < 0.2:\n            raise Diverged("x")\n        yield {'
    )
    code = code.replace("from trainers.function", "from trainers.trainer import Diverged\nfrom trainers.function")
    updates = trained(assigned(tmp_path, results, code))
    status, message = end_of(updates)
    assert (status, losses(updates)) == ("diverged", {1: 0.5, 2: 0.25})
    assert "x" in message and "\n" not in message


def test_code_that_changed_after_the_run_began_is_not_the_trials_fault(tmp_path, results):
    assignment = assigned(tmp_path, results)
    (tmp_path / "toy.py").write_text(TOY.replace("0.5", "0.25"))
    status, message = end_of(trained(assignment))
    assert status == "changed"
    assert "the code of trainer toy changed after the run began" in message
    assert "run the same command again" in message


def test_a_trainer_that_is_gone_fails_its_trial(tmp_path, results):
    assignment = assigned(tmp_path, results)
    (tmp_path / "toy.py").unlink()
    status, message = end_of(trained(assignment))
    assert status == "failed"
    assert "toy.py" in message and "Traceback" not in message
