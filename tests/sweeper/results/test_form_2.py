"""The journals of trainers other than MAML: what is written, refused, folded, summarised and found damaged."""

import json

import pytest

from sweeper.results.damage import damage_of
from sweeper.results.fold import fold
from sweeper.results.journal import Journal, NotReproducibleError
from sweeper.results.journal_form import JournalFormError, check
from sweeper.results.journal_lines import read_lines
from sweeper.results.survey import judge
from sweeper.results.trial_summary import read_summary
from tests.sweeper.plugged import attempt_of, begin, read


def trial_of(journal):
    return journal.path.parent.name


def test_readings_are_folded_in_order_of_steps_and_nothing_of_maml_is_there(results):
    journal = begin(results)
    read(journal, (1, {"loss": 0.5}), (2, {"loss": 0.25, "accuracy/val": 1}))
    journal.end(1, "done", step=4)
    record = fold(journal.path)
    assert (record["trainer"], record["status"], record["step"], record["done_step"]) == ("toy", "done", 4, 4)
    assert [(each["step"], each["values"]) for each in record["readings"]] == [
        (1, {"loss": 0.5}), (2, {"loss": 0.25, "accuracy/val": 1})
    ]  # fmt: skip
    assert all(each["time_ms"] > 0 for each in record["readings"])
    assert (record["training"]["step"], record["evaluations"], record["probes"]) == ([], [], [])
    assert record["scores"] is None and "finals" not in record
    assert check(journal.path.read_bytes(), trial_of(journal)).trainer == "toy"


def test_a_journal_of_maml_has_neither_trainer_nor_readings(results, specs):
    from tests.sweeper.played import finish

    finish(results, specs[0])
    record = fold(results.trial(specs[0].trial_id).journal)
    assert not record.keys() & {"trainer", "readings"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainer": 1}, "attempt.trainer"),
        ({"trainer": ""}, "attempt.trainer"),
        ({"resumes": "yes"}, "attempt.resumes"),
        ({"class": "x"}, "attempt.class"),
        ({"code": None}, "attempt.code"),
        ({"length": 3}, "attempt.length"),
        ({"target": -1}, "attempt.target"),
        ({"digest": "0"}, "attempt.digest"),
        ({"digest": "0" * 64}, "a digest without a data set"),
        ({"dataset": "digits"}, "a data set without its digest"),
        ({"recipe": {"core": 1.5}}, "attempt.recipe"),
        ({"config": {"more": [[[[[[[1]]]]]]]}}, "deeper than 6 levels"),
    ],
)
def test_an_attempt_that_no_run_writes_is_refused(results, changes, said):
    facts = attempt_of(**changes)
    journal = Journal(results.trial(facts["trial_id"]).journal)
    journal.open_attempt(facts)
    with pytest.raises(JournalFormError, match=f"line 1: .*{said}"):
        check(journal.path.read_bytes(), trial_of(journal))


@pytest.mark.parametrize("missing", ["trainer", "code", "resumes", "length", "class", "dataset"])
def test_an_attempt_that_lacks_what_its_readers_need_is_refused(results, missing):
    facts = attempt_of()
    del facts[missing]
    line = json.dumps({"kind": "attempt", "attempt": 1, "time_ms": 1} | facts).encode() + b"\n"
    with pytest.raises(JournalFormError, match=f"line 1: attempt.{missing}"):
        check(line, facts["trial_id"])


@pytest.mark.parametrize("value", [{"loss": "low"}, {"loss": None}, {"loss": True}, {"loss": [1.0]}])
def test_a_reading_that_is_no_number_is_refused(results, value):
    journal = begin(results)
    read(journal, (1, value))
    with pytest.raises(JournalFormError, match=r"line 2: .*'loss' has no number"):
        check(journal.path.read_bytes(), trial_of(journal))


def test_a_journal_of_two_trainers_is_refused(results):
    journal = begin(results)
    facts = attempt_of()
    journal.open_attempt(facts | {"trainer": "other"})
    with pytest.raises(JournalFormError, match="is of the trainer other, and those before it are of toy"):
        check(journal.path.read_bytes(), trial_of(journal))


def test_records_that_are_sent_again_are_written_once(results):
    journal = begin(results)
    assert read(journal, (1, {"loss": 0.5})) == 1
    again = begin(results)
    assert read(again, (1, {"loss": 0.5}), (2, {"loss": 0.25})) == 1
    assert [each["step"] for each in fold(again.path)["readings"]] == [1, 2]


def test_another_value_of_a_trainer_that_resumes_is_told_and_not_written(results):
    read(begin(results), (1, {"loss": 0.5}))
    again = begin(results)
    before = again.path.read_bytes()
    with pytest.raises(NotReproducibleError, match=r"^not reproducible at step 1: loss was 0.5 and is 0.6 now"):
        read(again, (1, {"loss": 0.6}), (2, {"loss": 0.3}))
    with pytest.raises(NotReproducibleError, match=r"error was absent and is 0.1 now"):
        read(again, (1, {"loss": 0.5, "error": 0.1}))
    assert again.path.read_bytes() == before


def test_another_value_of_the_same_attempt_is_told_too(results):
    journal = begin(results)
    read(journal, (1, {"loss": 0.5}))
    with pytest.raises(NotReproducibleError):
        read(journal, (1, {"loss": 0.6}))


def test_a_restart_without_a_state_voids_what_was_before(results):
    first = begin(results, resumes=False)
    read(first, (1, {"loss": 0.5}), (2, {"loss": 0.25}))
    again = begin(results, resumes=False)
    assert fold(again.path)["readings"] == []
    assert fold(again.path)["step"] == 0
    assert read(again, (1, {"loss": 0.75})) == 1
    assert [each["values"] for each in fold(again.path)["readings"]] == [{"loss": 0.75}]
    reopened = Journal(again.path)
    assert read(reopened, (1, {"loss": 0.75})) == 0
    assert len(fold(again.path)["attempts"]) == 2


def test_a_restart_voids_an_end_too_so_that_half_a_training_is_not_done(results):
    first = begin(results, resumes=False)
    read(first, (4, {"loss": 0.1}))
    first.end(1, "done", step=4)
    assert read_summary(first.path).is_done(4)
    longer = begin(results, resumes=False, target=8)
    read(longer, (1, {"loss": 0.5}))
    assert not read_summary(longer.path).is_done(4)
    assert fold(longer.path)["done_step"] == 0


def test_a_trial_is_done_by_its_done_line_at_its_target(results):
    journal = begin(results)
    read(journal, (4, {"loss": 0.1}))
    assert judge(read_summary(journal.path), 4, held=False)[0] == "interrupted"
    journal.end(1, "done", step=4)
    summary = read_summary(journal.path)
    assert judge(summary, 4, held=False) == ("done", "done at step 4")
    assert judge(summary, 3, held=False)[0] == "done"
    assert judge(summary, 8, held=False) == ("interrupted", "longer target: at step 4 of 8")


@pytest.mark.parametrize("step", [0, 7])
def test_without_a_length_any_done_line_is_the_end(results, step):
    journal = begin(results, length=None, target=0)
    assert judge(read_summary(journal.path), 0, held=False) == ("interrupted", "interrupted at step 0")
    journal.end(1, "failed", step=step, message="no")
    assert judge(read_summary(journal.path), 0, held=False)[0] == "failed"
    again = begin(results, length=None, target=0)
    again.end(2, "done", step=step)
    assert judge(read_summary(again.path), 0, held=False) == ("done", f"done at step {step}")
    assert check(again.path.read_bytes(), trial_of(again)).attempts == 2


def test_the_summary_names_trainer_and_code_and_costs_by_class_and_device(results):
    begin(results)
    journal = begin(results, code="d" * 16)
    summary = read_summary(journal.path)
    assert (summary.trainer, summary.code) == ("toy", "d" * 16)
    other = read_summary(begin(results, config={"rate": 0.1}, **{"class": "2" * 16}).path)
    gpu = read_summary(begin(results, config={"rate": 0.2}, device="cuda").path)
    assert len({summary.cost_class, other.cost_class, gpu.cost_class}) == 3


def test_a_sound_journal_is_not_damaged_and_one_of_another_config_is(results):
    journal = begin(results)
    read(journal, (1, {"loss": 0.5}))
    assert damage_of(results.trial(trial_of(journal))) is None
    journal.path.write_bytes(journal.path.read_bytes().replace(b'"rate":0.5', b'"rate":0.6'))
    assert "are not those of the trial" in damage_of(results.trial(trial_of(journal))).fault


def test_a_record_unlike_that_in_the_checkpoint_is_damage(results):
    from trainers.state_file import State, save_together
    from trainers.trainer import Record

    journal = begin(results)
    read(journal, (1, {"loss": 0.5}))
    trial = results.trial(trial_of(journal))
    state = State(step=1, records=(Record(1, "readings", {"loss": 0.5}),), content=b"x")
    save_together([(trial.checkpoint(1, 1), state)])
    assert damage_of(trial) is None
    journal.path.write_bytes(journal.path.read_bytes().replace(b'"loss":0.5', b'"loss":0.6'))
    assert "its readings at step 1 differs from that in the checkpoint" in damage_of(trial).fault


def test_an_attempt_without_its_trainer_is_damage_and_not_an_error(results):
    journal = begin(results)
    journal.path.write_bytes(journal.path.read_bytes().replace(b'"resumes":true,', b""))
    assert read_summary(journal.path).damaged
    assert "attempt.resumes" in read_summary(journal.path).trouble
    assert len(list(read_lines(journal.path))) == 1
