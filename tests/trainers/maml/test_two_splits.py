"""A trial that scores validation and test: each pass has the numbers of a trial of that split alone, bit for bit."""

import pytest

from tests.trainers.trained import same_bits, whole
from trainers.maml.checkpoints import checkpoint
from trainers.maml.config import PACKABLE, resolve
from trainers.maml.measured import unmeasured
from trainers.maml.record_forms import FORMS
from trainers.maml.train import train
from trainers.trainer import ConfigError, Wanted


def of_split(records, split):
    return [
        (record.step, record.value)
        for record in records
        if record.key.startswith("evaluation") and record.value["split"] == split
    ]


@pytest.fixture
def config(tiny):
    return lambda split: tiny(order="first", outer_steps=2, eval_every=1, eval_episodes=3, eval_split=split)


def test_both_splits_have_the_bits_of_a_trial_of_each_alone(config, noise):
    both, last = whole(config("both"), noise, engine="fused")
    for split in ("val", "test"):
        alone, state = whole(config(split), noise, engine="fused")
        assert of_split(both, split) == of_split(alone, split) and len(of_split(alone, split)) == 2
        assert all((last.params[name] == value).all() for name, value in state.params.items())
    alone, _ = whole(config("test"), noise, engine="fused")
    assert [record for record in both if record.key != "evaluation_val"] == alone  # scores of single episodes too
    for record in both:
        FORMS[record.key].model_validate(record.value)


@pytest.mark.slow
def test_it_goes_on_from_any_chunk(config, noise, tmp_path):
    records, last = whole(config("both"), noise, engine="fused")
    for chunk in train([config("both")], noise, chunk_s=0, engine="fused"):
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])
        resumed, end = whole(config("both"), noise, states=[checkpoint.read(tmp_path / "x.ckpt")], engine="fused")
        assert resumed == records and same_bits(end, last)


def test_a_last_pass_scores_test_alone(config, noise):
    longer = config("both").model_copy(update={"final_episodes": 4, "outer_steps": 1})
    records, _ = whole(longer, noise, engine="fused")
    assert [(record.key, record.value.get("split")) for record in records if record.key in ("final", "final_val")] == [
        ("final", "test")
    ]


def test_it_measures_both_metrics_and_needs_classes_of_both(config):
    for metric in ("val_accuracy", "test_accuracy"):
        wanted = Wanted(metric, {"head": "trained", "steps": 1}, "last", 1)
        assert list(unmeasured(config("both"), wanted)) == []
    with pytest.raises(ConfigError, match="eval_split: omniglot split 1200/423 has no validation classes"):
        resolve({"dataset": "omniglot", "eval_split": "both"})
    assert "eval_split" not in PACKABLE
