"""A record's value from elsewhere is taken only if it is what a run writes: of its key's form, finite and bounded."""

import json

import pytest
import torch

from sweeper.results import journal_form
from sweeper.results.journal_form import DEEPEST, LONGEST, JournalFormError, check
from tests.sweeper.played import begin
from tests.sweeper.tracking.test_run_contents import PROBE
from trainers.data import strokes
from trainers.maml.config import resolve
from trainers.maml.train import train


def content_of(results, spec, value, key="probe", step=2) -> bytes:
    """Return a journal with one attempt and one record of `value`, which may hold what no run could write."""
    journal = begin(results, spec)
    record = {"kind": "record", "attempt": 1, "time_ms": 1, "step": step, "key": key, "value": value}
    return journal.path.read_bytes() + json.dumps(record).encode() + b"\n"


def nested(levels: int) -> object:
    return [nested(levels - 1)] if levels else 1


@pytest.mark.slow
@pytest.mark.parametrize("orders", ["both", "own"])
def test_a_real_probe_is_taken(results, specs, orders):
    config = resolve({"dataset": "strokes", "ways": 3, "queries": 3, "channels": 4, "meta_batch_size": 2,
                      "inner_steps": 1, "outer_steps": 1, "eval_episodes": 2, "probe_every": 1,
                      "probe_episodes": 2, "probe_orders": orders})  # fmt: skip
    chunks = train([config], torch.from_numpy(strokes.make(0)))
    values = [value for chunk in chunks for _, key, value in chunk.runs[0].records if key == "probe"]
    assert values
    assert check(content_of(results, specs[0], values[0]), specs[0].trial_id).attempts == 1


@pytest.mark.parametrize("broken", sorted(PROBE))
def test_a_probe_that_lacks_a_number_or_has_text_for_one_is_refused(results, specs, broken):
    without = {name: value for name, value in PROBE.items() if name != broken}
    for value in (without, PROBE | {broken: "1.0"}, PROBE | {broken: ["x"]}):
        with pytest.raises(JournalFormError, match=rf"line \d: record.{broken}"):
            check(content_of(results, specs[0], value), specs[0].trial_id)


@pytest.mark.parametrize("pull", [None, {}, {"first": {}, "second": {}}, [1.0]])
def test_a_feature_pull_of_another_form_is_refused(results, specs, pull):
    with pytest.raises(JournalFormError, match="feature_pull"):
        check(content_of(results, specs[0], PROBE | {"feature_pull": pull}), specs[0].trial_id)


@pytest.mark.parametrize("key", ["probe", "evaluation", "anything"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "isn't finite"),
        ([[float("-inf")]], "isn't finite"),
        (nested(DEEPEST), "deeper than 6 levels"),
        ({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, "deeper than 6 levels"),
        ([0] * (LONGEST + 1), "characters or entries"),
        ("x" * (LONGEST + 1), "characters or entries"),
    ],
)
def test_no_value_is_endless_deep_or_not_finite_also_where_nobody_reads_it(results, specs, key, value, said):
    with pytest.raises(JournalFormError, match=f"line 2: .*{said}"):
        check(content_of(results, specs[0], PROBE | {"more": value}, key), specs[0].trial_id)


@pytest.mark.parametrize("name", ["query_loss", "query_accuracy"])
def test_a_training_record_that_is_not_finite_is_refused(results, specs, name):
    value = {"query_loss": 1.0, "query_accuracy": 0.5} | {name: float("inf")}
    with pytest.raises(JournalFormError, match="line 2"):
        check(content_of(results, specs[0], value, "training"), specs[0].trial_id)


@pytest.mark.parametrize(("step", "said"), [(-1, "step"), (10**8, "step"), (10**400, "step")])
def test_a_step_that_no_checkpoint_can_have_is_refused(results, specs, step, said):
    with pytest.raises(JournalFormError, match=said):
        check(content_of(results, specs[0], PROBE, step=step), specs[0].trial_id)


def test_a_later_form_is_refused(results, specs):
    content = content_of(results, specs[0], PROBE).replace(b'"form":1', b'"form":3')
    with pytest.raises(JournalFormError, match=r"line 1: attempt\.form"):
        check(content, specs[0].trial_id)
    older = content.replace(b'"form":3,', b"")
    assert check(older, specs[0].trial_id).attempts == 1


def test_the_most_that_a_value_may_hold_is_taken(results, specs, monkeypatch):
    monkeypatch.setattr(journal_form, "LONGEST", 16)
    value = PROBE | {"more": nested(DEEPEST - 1), "text": "x" * 16, "list": [None] * 16}
    assert check(content_of(results, specs[0], value), specs[0].trial_id).attempts == 1
