"""The loop: bits that don't depend on chunks or kills; zeroing; divergence; and that it learns."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.trainers.maml.adams import ADAMS
from tests.trainers.trained import same_bits, whole
from trainers.maml.checkpoints import checkpoint
from trainers.maml.engines.compiled.engine import CompiledEngine
from trainers.maml.engines.engines import LoopEngine
from trainers.maml.networks import initial_params
from trainers.maml.probes import probe
from trainers.maml.run_state import RunState
from trainers.maml.train import begun, train


@pytest.mark.parametrize(("algorithm", "head"), [("anil", True), ("boil", False)])
def test_a_run_begins_with_a_rate_of_each_parameter_that_its_algorithm_adapts(tiny, algorithm, head):
    config = tiny(algorithm=algorithm, inner_rates="per_parameter")
    rates = {f"rate:{name}" for name in initial_params(config) if name.startswith("head.") == head}
    assert begun(config).params.keys() == initial_params(config).keys() | rates


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "order", "slices"),
    [("loop", "first", 2), ("fused", "first", 2), ("fused", "second", 2), ("vmap", "second", 1)],
)
def test_stopping_at_any_chunk_and_going_on_from_the_file_changes_no_bit(tiny, noise, tmp_path, engine, order, slices):
    config = tiny(order=order, outer_steps=4, eval_every=2, eval_episodes=2, zero_head_every=2, dtype="float32")
    records, last = whole(config, noise, engine=engine)
    path = tmp_path / "x.ckpt"
    stops = 0
    for chunk in train([config], noise, chunk_s=0, engine=engine):
        checkpoint.save(path, chunk.states()[0])
        resumed, end = whole(config, noise, states=[checkpoint.read(path)], engine=engine)
        assert resumed == records
        assert same_bits(end, last)
        stops += 1
    assert stops == 4 + 2 * slices  # every outer step and every slice of both evaluations


def test_a_chunk_keeps_its_state_when_the_training_has_gone_on(tiny, noise):
    chunks = list(train([tiny(outer_steps=3)], noise, chunk_s=0))
    at_once = [chunk.states()[0] for chunk in train([tiny(outer_steps=3)], noise, chunk_s=0)]
    assert all(same_bits(chunk.states()[0], state) for chunk, state in zip(chunks, at_once, strict=True))


@pytest.mark.slow
def test_a_longer_target_goes_on_where_the_shorter_ended(tiny, noise):
    short, long = tiny(outer_steps=3, eval_every=2), tiny(outer_steps=5, eval_every=2)
    _, at_three = whole(short, noise)
    _, grown = whole(long, noise, states=[at_three])
    _, at_once = whole(long, noise)
    assert all(torch.equal(grown.params[name], at_once.params[name]) for name in grown.params)
    assert [r for r in grown.records if r.step != 3] == [r for r in at_once.records if r.step != 3]


@pytest.mark.slow
def test_the_evaluation_schedule_does_not_touch_training(tiny, noise):
    _, often = whole(tiny(eval_every=1), noise)
    _, never = whole(tiny(eval_every=0, eval_episodes=1, eval_steps=0), noise)
    assert all(torch.equal(often.params[name], never.params[name]) for name in often.params)


def test_the_zeroed_head_is_one_adam_step_from_zero_after_every_outer_step(tiny, noise):
    """Zeroing comes before the inner loops and the update after them (paper's released code and checkpoints)."""
    _, zeroed = whole(tiny(zero_head_every=1, outer_steps=5), noise)
    _, kept = whole(tiny(outer_steps=5), noise)
    # Five steps of Adam's moments with any gradients move a parameter by a few times the rate at the most.
    assert 0 < float(zeroed.params["head.weight"].abs().max()) < 3e-3
    assert float(kept.params["head.weight"].abs().max()) > 0.5


def test_zeroing_every_second_step_zeroes_before_steps_0_2_4(tiny, noise):
    every_second = [whole(tiny(zero_head_every=2, outer_steps=n), noise)[1].params["head.weight"] for n in (1, 2, 3)]
    every = [whole(tiny(zero_head_every=1, outer_steps=n), noise)[1].params["head.weight"] for n in (1, 2)]
    assert torch.equal(every_second[0], every[0])
    assert not torch.equal(every_second[1], every[1])
    assert float(every_second[1].abs().max()) > float(every_second[2].abs().max())


def test_zero_init_and_the_zeroing_trick_share_their_first_step(tiny, noise):
    _, zero_init = whole(tiny(head_scale=0.0, outer_steps=1), noise)
    _, trick = whole(tiny(zero_head_every=1, outer_steps=1), noise)
    encoder = [name for name in trick.params if not name.startswith("head")]
    assert all(torch.equal(zero_init.params[name], trick.params[name]) for name in encoder)


def encoder_gap(a: RunState, b: RunState) -> float:
    """Return the largest difference of an encoder parameter."""
    return max(float((a.params[n] - b.params[n]).abs().max()) for n in a.params if not n.startswith("head"))


@pytest.mark.parametrize("algorithm", ["maml", "anil", "contrastive"])
def test_zeroing_after_the_update_trains_the_same_encoder_and_leaves_a_zero_head(tiny, noise, algorithm):
    values = {"algorithm": algorithm, "order": "first", "zero_head_every": 1, "outer_steps": 5}
    _, before = whole(tiny(**values), noise)
    records, after = whole(tiny(zero_head_when="after_update", **values), noise)
    assert encoder_gap(before, after) == 0
    assert not any(after.params[name].any() for name in ("head.weight", "head.bias"))
    assert before.params["head.weight"].any()
    for found, expected in zip(after.moments, before.moments, strict=True):
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    (accuracy,) = [record.value["accuracy"] for record in records if record.key == "evaluation"]
    assert accuracy["trained"] == accuracy["zeroed"]


def test_zeroing_after_every_second_update_leaves_a_zero_head_after_steps_2_and_4(tiny, noise):
    config = tiny(zero_head_every=2, zero_head_when="after_update", outer_steps=4)
    plain = config.model_copy(update={"zero_head_when": "before_inner_loop"})
    after, before = ([chunk.states()[0] for chunk in train([c], noise, chunk_s=0)][:4] for c in (config, plain))
    assert [bool(state.params["head.weight"].any()) for state in after] == [True, False, True, False]
    assert [encoder_gap(a, b) for a, b in zip(after, before, strict=True)] == [0] * 4
    assert torch.equal(after[2].params["head.weight"], before[2].params["head.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["maml", "anil", "contrastive"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_adams_memory_of_a_zeroed_head_never_reaches_the_encoder(tiny, noise, order, algorithm):
    """Zeroed before every step, the head that Adam moved is gone before anything looks at it."""
    values = {"algorithm": algorithm, "order": order, "zero_head_every": 1, "inner_steps": 1, "outer_steps": 5}
    _, kept = whole(tiny(**values), noise)
    _, reset = whole(tiny(zero_head_adam="reset", **values), noise)
    assert encoder_gap(kept, reset) == 0
    assert not torch.equal(kept.params["head.weight"], reset.params["head.weight"])


@pytest.mark.slow
def test_where_the_head_lives_two_steps_adams_memory_reaches_the_encoder(tiny, noise):
    values = {"zero_head_every": 2, "outer_steps": 4}
    states = {
        (kind, steps): whole(tiny(zero_head_adam=kind, **values | {"outer_steps": steps}), noise)[1]
        for kind in ("kept", "reset")
        for steps in (3, 4)
    }
    assert encoder_gap(states["kept", 3], states["reset", 3]) == 0  # zeroed before step 2, first seen unequal in step 3
    assert encoder_gap(states["kept", 4], states["reset", 4]) > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 3])
def test_a_head_zeroed_with_its_memory_moves_by_the_outer_rate(tiny, noise, every):
    """Adam's first step is lr * g / (|g| + eps): the rate but for eps, whatever the gradient."""
    config = tiny(zero_head_every=every, zero_head_adam="reset", outer_lr=0.02, outer_steps=7)
    states = [chunk.states()[0] for chunk in train([config], noise, chunk_s=0)][:7]
    for state in states:
        for name in ("head.weight", "head.bias"):
            gradient = state.moments.first[name] / 0.1
            closed_form = -0.02 * gradient / (gradient.abs() + 1e-8)
            fits = torch.allclose(state.params[name], closed_form, rtol=1e-9, atol=0)
            assert fits == ((state.step - 1) % every == 0), (state.step, name)
        if (state.step - 1) % every == 0:
            size = state.params["head.weight"].abs()
            torch.testing.assert_close(size, torch.full_like(size, 0.02), rtol=1e-3, atol=0)
    kept = whole(config.model_copy(update={"zero_head_adam": "kept"}), noise)[1]
    assert not torch.allclose(kept.params["head.weight"].abs(), torch.tensor(0.02).double(), rtol=1e-3)


@pytest.mark.parametrize("adam", ADAMS)
def test_a_reset_head_counts_its_own_steps_from_each_zeroing(tiny, noise, adam):
    """From steps 0 and 3 on, Adam started anew on the same gradients takes the head the same way."""
    config = tiny(zero_head_every=3, zero_head_adam="reset", outer_lr=0.02, outer_steps=6)
    states = [chunk.states()[0] for chunk in train([config], noise, chunk_s=0)][:6]
    for cycle in (states[:3], states[3:]):
        start = torch.zeros_like(cycle[0].params["head.weight"])
        moments = [start, *(state.moments.first["head.weight"] for state in cycle)]
        gradients = [(after - 0.9 * before) / 0.1 for before, after in itertools.pairwise(moments)]
        for state, weight in zip(cycle, adam(start, gradients, 0.02), strict=True):
            torch.testing.assert_close(state.params["head.weight"], weight, rtol=1e-9, atol=1e-12)


def test_reset_without_zeroing_changes_nothing(tiny, noise):
    _, kept = whole(tiny(outer_steps=3), noise)
    _, reset = whole(tiny(outer_steps=3, zero_head_adam="reset"), noise)
    assert same_bits(kept, reset)


@pytest.mark.slow
@pytest.mark.parametrize("values", [{"zero_head_when": "after_update"}, {"zero_head_adam": "reset"}], ids=str)
def test_a_reset_or_late_zeroing_resumes_with_the_same_bits(tiny, noise, tmp_path, values):
    config = tiny(zero_head_every=3, outer_steps=5, **values)
    records, last = whole(config, noise)
    for chunk in train([config], noise, chunk_s=0):
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])
        resumed, end = whole(config, noise, states=[checkpoint.read(tmp_path / "x.ckpt")])
        assert resumed == records
        assert same_bits(end, last)


def test_both_heads_are_scored_after_every_inner_step_and_kept_apart(tiny, noise):
    records, _ = whole(tiny(outer_steps=2, eval_steps=3, eval_episodes=4), noise)
    (evaluation,) = [record.value for record in records if record.key == "evaluation"]
    (scores,) = [record.value for record in records if record.key == "scores"]
    assert evaluation["episodes"] == 4
    for head in ("trained", "zeroed"):
        correct = np.array(scores["correct"][head])
        assert correct.shape == (4, 4)
        np.testing.assert_allclose(evaluation["accuracy"][head], correct.mean(1) / 9)
        np.testing.assert_allclose(evaluation["sd"][head], (correct / 9).std(1, ddof=1))
    assert evaluation["accuracy"]["zeroed"][0] == pytest.approx(1 / 3)
    assert evaluation["accuracy"]["trained"] != evaluation["accuracy"]["zeroed"]


def test_passes_for_the_curves_score_only_what_they_are_asked_for_and_a_last_pass_everything(tiny, noise):
    every = {"outer_steps": 4, "eval_every": 2, "eval_steps": 2, "eval_episodes": 3}
    plain, _ = whole(tiny(**every), noise)
    fewer = {"eval_heads": "zeroed", "eval_each_step": False, "final_episodes": 5, "final_steps": 3}
    records, last = whole(tiny(**every, **fewer), noise)
    at = [record.value["accuracy"]["zeroed"] for record in plain if record.key == "evaluation"]
    cheap = [record.value for record in records if record.key == "evaluation"]
    assert [value["accuracy"] for value in cheap] == [{"zeroed": [None, None, found[2]]} for found in at]
    assert [value["sd"]["zeroed"][:2] for value in cheap] == [[None, None]] * 2
    (final,) = [record for record in records if record.key == "final"]
    (scores,) = [record.value["correct"] for record in records if record.key == "scores"]
    assert (final.step, final.value["episodes"]) == (4, 5)
    ends = next(record.value["correct"] for record in plain if record.key == "scores")
    for head in ("trained", "zeroed"):
        np.testing.assert_allclose(final.value["accuracy"][head], np.array(scores[head]).mean(1) / 9)
        # The list of episodes is the one that evaluations score the beginning of.
        assert np.array(scores[head])[:3, :3].tolist() == ends[head]
    assert last.correct.size == 0


@pytest.mark.slow
def test_a_last_pass_that_is_cut_anywhere_goes_on_to_the_same_bits(tiny, noise, tmp_path):
    config = tiny(outer_steps=2, eval_episodes=2, eval_each_step=False, eval_heads="trained", final_episodes=4)
    records, last = whole(config, noise)
    stops = 0
    for chunk in train([config], noise, chunk_s=0):
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])
        resumed, end = whole(config, noise, states=[checkpoint.read(tmp_path / "x.ckpt")])
        assert resumed == records
        assert same_bits(end, last)
        stops += 1
    assert stops == 2 + 2 + 4


def test_a_longer_target_makes_its_own_last_pass(tiny, noise):
    short, long = tiny(outer_steps=2, final_episodes=2), tiny(outer_steps=3, final_episodes=2)
    _, at_two = whole(short, noise)
    _, grown = whole(long, noise, states=[at_two])
    assert [record.step for record in grown.records if record.key == "final"] == [2, 3]


def test_a_checkpoint_of_before_last_passes_goes_on(tiny, noise):
    """It holds the scores of its complete evaluation; now they go when the evaluation's record is made."""
    _, at_three = whole(tiny(outer_steps=3), noise)
    older = dataclasses.replace(at_three, correct=np.zeros((2, 3, 3), dtype=np.int64))
    _, same = whole(tiny(outer_steps=3), noise, states=[older])
    assert same_bits(same, at_three)
    _, grown = whole(tiny(outer_steps=5), noise, states=[older])
    assert same_bits(grown, whole(tiny(outer_steps=5), noise, states=[at_three])[1])


@pytest.mark.slow
def test_a_divergence_tells_the_last_recorded_loss_and_tells_the_same_when_resumed(tiny, noise, monkeypatch, tmp_path):
    config = tiny(outer_steps=14)
    states = [chunk.states()[0] for chunk in train([config], noise, chunk_s=0)]
    at_ten = next(r.value["query_loss"] for r in states[-1].records if (r.step, r.key) == (10, "training"))
    checkpoint.save(tmp_path / "x.ckpt", states[10])  # after 11 outer steps
    honest = CompiledEngine.meta_gradient

    def failing(self, params, *arguments):
        found = honest(self, params, *arguments)
        at_twelve = torch.equal(params["conv1.weight"][0], states[11].params["conv1.weight"])
        return found._replace(loss=found.loss * torch.nan) if at_twelve else found

    monkeypatch.setattr(CompiledEngine, "meta_gradient", failing)
    for resumed in (None, [checkpoint.read(tmp_path / "x.ckpt")]):
        *_, chunk = train([config], noise, states=resumed)
        assert chunk.runs[0].message == f"diverged at step 13: query loss nan; it was {at_ten:.4g} at step 10"


def test_a_gradient_that_adam_cannot_square_is_a_divergence(tiny, noise, monkeypatch):
    """A finite gradient beyond 1e19 overflows in float32 when squared, and would freeze its weight for ever."""
    honest = CompiledEngine.meta_gradient

    def exploding(self, *arguments):
        found = honest(self, *arguments)
        return found._replace(
            gradient=found.gradient | {"conv1.bias": torch.full_like(found.gradient["conv1.bias"], 1e25)}
        )

    monkeypatch.setattr(CompiledEngine, "meta_gradient", exploding)
    (chunk,) = train([tiny(dtype="float32", outer_steps=1)], noise)
    assert chunk.runs[0].status == "diverged"
    assert chunk.runs[0].message.startswith("diverged at step 1: gradient out of range, query loss ")


def test_the_head_zeroed_at_test_is_zero_in_weight_and_bias(tiny, noise):
    config = tiny(outer_steps=1)
    _, state = whole(config, noise)
    longer = config.model_copy(update={"outer_steps": 2, "outer_lr": 1e-30})

    def zeroed_scores(bias: float) -> list:
        head = {"head.bias": torch.tensor([bias, 0.0, 0.0], dtype=torch.float64)}
        changed = dataclasses.replace(state, params=state.params | head)
        records, _ = whole(longer, noise, states=[changed])
        return records[-1].value["correct"]["zeroed"]

    assert zeroed_scores(0.0) == zeroed_scores(50.0)


def test_a_chunk_takes_about_its_time_evaluations_included(tiny, noise, monkeypatch):
    """By a clock that goes on by a second at every look."""
    seconds = itertools.count()
    monkeypatch.setattr("trainers.maml.train.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    config = tiny(outer_steps=2, eval_episodes=10)
    assert len(list(train([config], noise, chunk_s=0))) == 2 + 10
    assert len(list(train([config], noise, chunk_s=3))) == (2 + 10) / 3


SMALL = {"channels": 2, "meta_batch_size": 1, "inner_steps": 1, "eval_episodes": 1, "eval_heads": "zeroed"}
AT_ONCE, AFTER_A_STEP = {"inner_lr": 1e200}, {"outer_lr": 1e200}
"""Rates with which a run diverges at step 1, and at step 2."""
PROBED = {"probe_episodes": 1, "probe_orders": "own", "order": "first", **SMALL}


def steps_of(records, key) -> list[int]:
    return [record.step for record in records if record.key == key]


def test_a_pack_refuses_runs_at_different_points_and_a_run_without_a_state(tiny, noise):
    configs = [tiny(seed=seed, outer_steps=2) for seed in (0, 1)]
    fresh = [begun(config) for config in configs]
    within = dataclasses.replace(fresh[1], step=2, correct=np.zeros((2, 1, 3), dtype=np.int64))
    said = "must continue from one point; these are at step 0; step 2, 1 episodes into its evaluation pass"
    with pytest.raises(ValueError, match=said):
        next(train(configs, noise, states=[fresh[0], within], engine="loop"))
    with pytest.raises(ValueError, match="shorter"):
        next(train(configs, noise, states=fresh[:1], engine="loop"))


def test_a_run_that_diverges_at_once_has_no_record_and_its_neighbour_goes_on_to_the_end(tiny, noise):
    configs = [tiny(outer_steps=2, **own, **SMALL) for own in (AT_ONCE, {})]
    chunks = list(train(configs, noise, engine="loop", chunk_s=0))
    statuses = [[run.status for run in chunk.runs] for chunk in chunks]
    assert statuses == [["diverged", "running"], ["diverged", "running"], ["diverged", "done"]]
    assert {chunk.runs[0].message for chunk in chunks} == {"diverged at step 1: query loss nan"}
    dead, alive = chunks[-1].states()
    assert dead.records == ()
    assert [record[:2] for record in alive.records] == [(1, "training"), (2, "evaluation"), (2, "scores")]


def test_a_pack_ends_with_its_last_run_and_says_what_its_loss_had_been(tiny, noise, monkeypatch):
    honest, calls = LoopEngine.meta_gradient, []

    def counted(*given):
        calls.append(given)
        return honest(*given)

    monkeypatch.setattr(LoopEngine, "meta_gradient", counted)
    configs = [tiny(outer_steps=5, **own, **SMALL) for own in (AT_ONCE, AFTER_A_STEP)]
    (chunk,) = train(configs, noise, engine="loop", chunk_s=60)
    (record,) = chunk.states()[1].records
    assert (record.step, record.key) == (1, "training")
    was = f"; it was {record.value['query_loss']:.4g} at step 1"
    assert [run.message for run in chunk.runs] == [
        "diverged at step 1: query loss nan",
        f"diverged at step 2: query loss nan{was}",
    ]
    assert (chunk.step, len(calls)) == (2, 2)


def test_the_first_probe_is_at_probe_first_and_sees_the_head_of_that_step(tiny, noise):
    config = tiny(probe_every=3, probe_first=1, outer_steps=2, zero_head_every=2, **PROBED)
    records, _ = whole(config, noise, engine="loop")
    (found,) = [record for record in records if record.key == "probe"]
    assert found.step == 1
    assert found.value["head_norm"] > 0


def test_a_run_that_was_probed_before_the_stop_is_not_probed_again_with_its_neighbour(tiny, noise):
    configs = [tiny(seed=seed, probe_every=2, outer_steps=1, **PROBED) for seed in (0, 1)]
    chunk = next(train(configs[:1], noise, engine="loop", chunk_s=0))
    states = [*chunk.states(), begun(configs[1])]
    assert [(state.step, steps_of(state.records, "probe")) for state in states] == [(0, [0]), (0, [])]
    *_, last = train(configs, noise, states=states, engine="loop")
    assert [steps_of(state.records, "probe") for state in last.states()] == [[0], [0]]


def test_a_probe_looks_with_the_engine_that_trains(tiny, noise, monkeypatch):
    engines = []

    def watched(*given):
        engines.append(given[3])
        return probe(*given)

    monkeypatch.setattr("trainers.maml.train.probe", watched)
    whole(tiny(probe_every=2, outer_steps=1, **PROBED), noise, engine="vmap")
    assert engines == ["vmap"]


def test_a_step_and_an_evaluation_multiply_as_the_config_says(tiny, noise, monkeypatch):
    seen, honest = [], {name: getattr(LoopEngine, name) for name in ("meta_gradient", "correct")}
    for name in honest:

        def watched(*given, name=name):
            seen.append((name, torch.is_autocast_enabled("cpu")))
            return honest[name](*given)

        monkeypatch.setattr(LoopEngine, name, watched)
    for arithmetic in ("full", "bf16"):
        whole(tiny(outer_steps=1, dtype="float32", arithmetic=arithmetic, **SMALL), noise, engine="loop")
    assert seen == [(name, coarse) for coarse in (False, True) for name in ("meta_gradient", "correct")]


@pytest.mark.slow
def test_training_on_strokes_beats_the_untrained_network_by_far(tiny, pixels):
    config = tiny(
        channels=16, ways=5, shots=1, queries=15, inner_steps=1, inner_lr=0.4, order="first", zero_head_every=1,
        meta_batch_size=8, outer_steps=60, outer_lr=0.003, eval_episodes=60, dtype="float32",
    )  # fmt: skip

    def accuracy(steps: int) -> float:
        records, _ = whole(config.model_copy(update={"outer_steps": steps}), pixels)
        return next(r.value["accuracy"]["zeroed"][1] for r in records if r.key == "evaluation")

    assert accuracy(60) > accuracy(1) + 0.2
