"""Runs trained together: each as it would be alone, whatever becomes of the others."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.budget import budget
from tests.trainers.trained import same_bits, whole
from trainers.maml.config import resolve
from trainers.maml.engines.compiled.engine import CompiledEngine
from trainers.maml.networks import initial_params
from trainers.maml.train import train


def test_members_of_a_pack_equal_their_solo_runs(tiny, noise):
    configs = [
        tiny(seed=0, outer_steps=3), tiny(seed=1, outer_steps=3, zero_head_every=1),
        tiny(seed=0, outer_steps=3, head_scale=0.0, inner_lr=0.3, outer_lr=0.01),
    ]  # fmt: skip
    *_, chunk = train(configs, noise)
    for config, state in zip(configs, chunk.states(), strict=True):
        assert same_bits(state, whole(config, noise)[1])


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before_inner_loop", "after_update"])
@pytest.mark.parametrize("kind", ["kept", "reset"])
def test_each_member_of_a_pack_is_zeroed_in_its_own_rhythm(tiny, noise, when, kind):
    values = {
        "zero_head_when": when,
        "zero_head_adam": kind,
        "outer_steps": 5,
        "eval_episodes": 1,
        "eval_steps": 0,
        "inner_steps": 1,
        "meta_batch_size": 1,
    }
    configs = [tiny(zero_head_every=every, **values) for every in (0, 1, 2, 3)]
    *_, chunk = train(configs, noise)
    for config, state in zip(configs, chunk.states(), strict=True):
        assert same_bits(state, whole(config, noise)[1])


def test_a_pack_refuses_runs_that_are_not_alike(tiny, noise):
    with pytest.raises(ValueError, match=r"differ in \['inner_steps'\]"):
        next(train([tiny(), tiny(inner_steps=1)], noise))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before_inner_loop", "after_update"])
@pytest.mark.parametrize("kind", ["kept", "reset"])
def test_a_diverged_runs_head_stays_as_it_was_while_its_neighbour_is_zeroed_on(tiny, noise, monkeypatch, when, kind):
    """Run 0 diverges at step 2, the very step after which the trick zeroes; its last finite head is of interest."""
    honest, calls = CompiledEngine.meta_gradient, []

    def failing(self, *arguments):
        found = honest(self, *arguments)
        calls.append(1)
        if len(calls) == 2:
            found.loss[0] = torch.nan
        return found

    values = {"zero_head_every": 2, "zero_head_when": when, "zero_head_adam": kind}
    _, expected = whole(tiny(outer_steps=1, **values), noise)
    monkeypatch.setattr(CompiledEngine, "meta_gradient", failing)
    *_, chunk = train([tiny(seed=seed, outer_steps=5, **values) for seed in (0, 1)], noise, chunk_s=60)
    dead, alive = chunk.states()
    assert [run.status for run in chunk.runs] == ["diverged", "done"]
    assert all(torch.equal(dead.params[name], expected.params[name]) for name in dead.params)
    assert all(torch.equal(dead.moments.first[name], expected.moments.first[name]) for name in dead.params)
    monkeypatch.setattr(CompiledEngine, "meta_gradient", honest)
    assert same_bits(alive, whole(tiny(seed=1, outer_steps=5, **values), noise)[1])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fused", "loop", "vmap"])
def test_a_diverged_run_ends_with_its_step_and_its_neighbour_goes_on(tiny, noise, engine):
    configs = [tiny(seed=0, inner_lr=1e200, outer_steps=3), tiny(seed=1, outer_steps=3)]
    chunks = list(train(configs, noise, engine=engine))
    statuses = [run.status for run in chunks[-1].runs]
    assert statuses == ["diverged", "done"]
    assert chunks[-1].runs[0].message.startswith("diverged at step 1: query loss nan")
    state = chunks[-1].states()[0]
    start = initial_params(configs[0])
    assert all(torch.equal(state.params[name], start[name]) for name in start)  # the last finite values
    neighbour, solo = chunks[-1].states()[1], whole(configs[1], noise, engine=engine)[1]
    assert same_bits(neighbour, solo) or engine == "vmap"
    assert all(torch.allclose(neighbour.params[name], solo.params[name], atol=1e-10) for name in solo.params)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "order"), [("fused", "second"), ("vmap", "first"), ("vmap", "second")])
def test_a_member_of_a_pack_takes_the_step_it_would_take_alone_from_each_of_many_states(tiny, noise, engine, order):
    """Both start each step from the solo state; after many steps of their own, weights would test nothing but chaos."""
    count = budget(3, 50)
    apart = ({"zero_head_every": 1, "outer_lr": 0.01}, {"head_scale": 0.5, "inner_lr": 0.05})
    configs = [
        tiny(order=order, seed=seed, outer_steps=count + 1, eval_episodes=1, **own) for seed, own in enumerate(apart)
    ]
    alone = [list(train([config], noise, chunk_s=0, engine=engine)) for config in configs]
    for step in range(count):
        states = [chunks[step].states()[0] for chunks in alone]
        assert {state.step for state in states} == {step + 1}
        together = next(train(configs, noise, states=states, chunk_s=0, engine=engine))
        for start, member, chunks in zip(states, together.states(), alone, strict=True):
            solo = chunks[step + 1].states()[0]
            if engine == "fused":
                assert same_bits(member, solo)
            # A tenth of this step's gradient is what the first moment gained.
            for name, before in start.moments[0].items():
                ours, theirs = member.moments[0][name], solo.moments[0][name]
                assert (ours - theirs).norm() <= 1e-10 * (theirs - 0.9 * before).norm()


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device here; on a CPU packs are bit-equal to solo runs"
)
@pytest.mark.parametrize("engine", ["vmap", "graph", "unfold"])
def test_eight_seeds_end_alike_packed_and_alone_on_a_gpu(pixels, engine):
    """Kernels of other sizes round otherwise and training is chaotic, so only the mean difference says anything."""
    values = {"dataset": "strokes", "channels": 32, "order": "first", "inner_lr": 0.4, "inner_steps": 2,
              "meta_batch_size": 8, "outer_steps": 200, "eval_episodes": 400}  # fmt: skip
    configs = [resolve(values | {"seed": seed}) for seed in range(8)]
    on_gpu = pixels.cuda()

    def final(members):
        *_, chunk = train(members, on_gpu, engine=engine, chunk_s=60)
        found = [next(r.value for r in run.records if r.key == "evaluation") for run in chunk.runs]
        return [100 * value["accuracy"]["zeroed"][-1] for value in found]

    differences = np.array(final(configs)) - np.array([final([config])[0] for config in configs])
    half = stats.t.ppf(0.95, 7) * differences.std(ddof=1) / np.sqrt(8)
    assert differences.mean() - half > -1
    assert differences.mean() + half < 1
