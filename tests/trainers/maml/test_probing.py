"""Probes in a training: taken when they should be, once each, and of no consequence to it."""

import pytest
import torch

from tests.trainers.trained import probed, whole
from trainers.maml.checkpoints import checkpoint
from trainers.maml.engines.compiled.engine import CompiledEngine
from trainers.maml.episodes import gather, training_draw
from trainers.maml.networks import initial_params, zero_head
from trainers.maml.probes import probe
from trainers.maml.train import train


def probes_of(records) -> list[int]:
    return [record.step for record in records if record.key == "probe"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["loop", "vmap"])
@pytest.mark.parametrize("values", [{}, {"zero_head_every": 2, "zero_head_adam": "reset"}, {"episode_pool": 5}])
def test_training_with_probes_has_the_bits_of_training_without(tiny, noise, engine, values):
    states = {}
    for every in (0, 1, 2):
        records, states[every] = whole(
            tiny(probe_every=every, probe_episodes=1, outer_steps=3, eval_episodes=1, dtype="float32", **values),
            noise,
            engine=engine,
        )
        assert probes_of(records) == {0: [], 1: [0, 1, 2, 3], 2: [0, 2]}[every]
    for every in (1, 2):
        for found, expected in zip(
            (states[every].params, *states[every].moments), (states[0].params, *states[0].moments), strict=True
        ):
            assert all(torch.equal(found[name], expected[name]) for name in expected)
        others = [record for record in states[every].records if record.key != "probe"]
        assert others == list(states[0].records)


@pytest.mark.slow
def test_probes_begin_at_probe_first_and_train_the_same_bits(tiny, noise):
    """Fig. 2 looks after updates 1, 11, 21, ..., so between the multiples of ten."""
    states = {}
    for first, expected in ((0, [0, 3, 6]), (1, [1, 4, 7]), (2, [2, 5]), (4, [4, 7]), (9, [])):
        values = {"probe_every": 3, "probe_first": first, "probe_episodes": 1, "outer_steps": 7}
        records, states[first] = whole(tiny(**values), noise)
        assert probes_of(records) == expected
    for state in states.values():
        assert all(torch.equal(state.params[name], states[0].params[name]) for name in state.params)


@pytest.mark.slow
def test_stopped_at_any_chunk_and_resumed_a_run_has_each_probe_once(tiny, noise, tmp_path):
    config = tiny(outer_steps=4, probe_every=2, probe_episodes=1, eval_every=2, eval_episodes=2, zero_head_every=2)
    records, last = whole(config, noise)
    assert probes_of(records) == [0, 2, 4]
    assert len({(record.step, record.key) for record in records}) == len(records)
    stops = 0
    for chunk in train([config], noise, chunk_s=0):
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])
        resumed, end = whole(config, noise, states=[checkpoint.read(tmp_path / "x.ckpt")])
        assert resumed == records
        assert all(torch.equal(end.params[name], last.params[name]) for name in last.params)
        stops += 1
    assert stops == 4 + 3 + 2 * 2  # steps, probes and slices of evaluations


@pytest.mark.slow
def test_the_probe_at_the_end_is_not_taken_again_when_the_target_grows(tiny, noise):
    values = {"probe_every": 1, "probe_episodes": 1, "eval_episodes": 1}
    _, at_two = whole(tiny(outer_steps=2, **values), noise)
    grown, _ = whole(tiny(outer_steps=4, **values), noise, states=[at_two])
    at_once, _ = whole(tiny(outer_steps=4, **values), noise)
    assert probes_of(grown) == [0, 1, 2, 3, 4]
    taken = [[record for record in records if record.key == "probe"] for records in (grown, at_once)]
    assert taken[0] == taken[1]


@pytest.mark.slow
def test_a_probe_sees_the_head_that_the_next_inner_loop_starts_from(tiny, noise):
    """With zeroing every second step that is a zero head at steps 0, 2 and 4, whenever it is set to zero."""
    for when in ("before_inner_loop", "after_update"):
        config = tiny(outer_steps=4, probe_every=1, probe_episodes=1, zero_head_every=2, zero_head_when=when)
        records, _ = whole(config, noise)
        norms = {record.step: record.value["head_norm"] for record in records if record.key == "probe"}
        assert [step for step, size in norms.items() if size == 0] == [0, 2, 4]


@pytest.mark.slow
def test_each_member_of_a_pack_is_probed_as_if_alone_and_a_diverged_one_no_more(tiny, noise):
    values = {"outer_steps": 3, "probe_every": 1, "probe_episodes": 1}
    configs = [tiny(seed=0, inner_lr=1e200, **values), tiny(seed=1, **values)]
    records: list[list] = [[], []]
    for chunk in train(configs, noise):
        for run in (0, 1):
            records[run] += chunk.runs[run].records
    assert probes_of(records[0]) == [0]
    solo, _ = whole(configs[1], noise)
    assert [record for record in records[1] if record.key == "probe"] == [r for r in solo if r.key == "probe"]


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1])
def test_states_from_before_and_after_a_probe_go_on_together_with_each_probe_once(tiny, noise, first):
    """Runs trained alone may have stopped at one step, one before its probe and one after it."""
    values = {"outer_steps": 3, "probe_every": 1, "probe_episodes": 1}
    alone = [[chunk.states()[0] for chunk in train([tiny(seed=s, **values)], noise, chunk_s=0)] for s in (0, 1)]
    states = [alone[0][1], alone[1][2]]
    assert [state.step for state in states] == [1, 1]
    assert [probes_of(state.records) for state in states] == [[0], [0, 1]]
    order = (first, 1 - first)
    *_, chunk = train([tiny(seed=s, **values) for s in order], noise, states=[states[s] for s in order])
    for seed, state in zip(order, chunk.states(), strict=True):
        assert state.records == alone[seed][-1].records


def test_a_probe_is_taken_of_the_episodes_it_is_said_to_be_of(tiny, noise):
    config = tiny(outer_steps=1, probe_every=1, probe_episodes=2, zero_head_every=1, episode_pool=5)
    records, _ = whole(config, noise, engine="loop")
    expected, *_ = probed(config, noise, zero_head(initial_params(config)))
    assert next(record.value for record in records if record.key == "probe") == expected
    elsewhere = probe(config, zero_head(initial_params(config)), gather(training_draw(config, 0), noise, config))
    assert elsewhere != expected


def test_training_goes_on_when_a_probe_has_nothing_finite_to_say(tiny, noise, monkeypatch):
    """Divergence is the training's to find, not the probe's."""
    honest = CompiledEngine.meta_gradient
    calls = []

    def tame(self, params, episodes, inner_lr, alive, weights=None):
        calls.append(1)
        return honest(self, params, episodes, torch.full_like(inner_lr, 0.1), alive)

    monkeypatch.setattr(CompiledEngine, "meta_gradient", tame)
    config = tiny(outer_steps=2, inner_lr=1e200, probe_every=1, probe_episodes=1)
    records, _ = whole(config, noise)
    assert probes_of(records) == [0, 1, 2]
    assert len(calls) == 2
