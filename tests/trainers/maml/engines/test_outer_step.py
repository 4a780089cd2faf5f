"""One outer step with outer gradients that are given: which run moves, which breaks, and what each step is told."""

import math

import pytest
import torch
from torch import Tensor

from trainers.maml.engines.engine import MetaGradient
from trainers.maml.engines.outer_step import Mover
from trainers.maml.networks import initial_params

NAN, INF = math.nan, math.inf


class Given:
    """An engine whose steps give losses of runs and, of runs by number, the last entry of the gradient of `name`.

    All other entries are 1.
    """

    def __init__(self, name: str, steps: list[tuple[list[float], dict[int, float]]]) -> None:
        self._name, self._steps = name, steps

    def meta_gradient(self, params, episodes, inner_lr, alive, weights=None) -> MetaGradient:
        losses, entries = self._steps.pop(0)
        gradient = {name: torch.ones_like(value) for name, value in params.items()}
        for run, entry in entries.items():
            gradient[self._name][run].view(-1)[-1] = entry
        return MetaGradient(gradient, torch.tensor(losses, dtype=torch.float64), torch.zeros_like(inner_lr))


def mover(configs, pixels, engine=None) -> Mover:
    params = [initial_params(config) for config in configs]
    return Mover(configs, pixels, engine, {name: torch.stack([one[name] for one in params]) for name in params[0]})


def heads(params: dict[str, Tensor]) -> list[bool]:
    """Return whether each run has a head that isn't zero."""
    return params["head.weight"].flatten(1).any(dim=1).tolist()


@pytest.mark.parametrize("name", ["conv1.weight", "norm2.bias", "head.weight"])
@pytest.mark.parametrize("value", [NAN, -INF, 1e200])
def test_one_bad_entry_breaks_its_run_alone_and_its_first_break_is_kept(tiny, noise, name, value):
    steps = [([1.5, 2.5, 3.5], {1: value}), ([4.5, 5.5, INF], {1: NAN}), ([6.5, 7.5, 8.5], {1: value, 2: value})]
    own = mover([tiny(seed=seed) for seed in range(3)], noise, Given(name, steps))
    for step, (at, losses, moves) in enumerate((
        ([0, 1, 0], [0, 2.5, 0], [True, False, True]),
        ([0, 1, 2], [0, 2.5, INF], [True, False, False]),
        ([0, 1, 2], [0, 2.5, INF], [True, False, False]),
    )):  # fmt: skip
        before = own.carried
        own.take(step, [True] * 3)
        assert own.carried.broken_at.tolist() == at
        assert own.carried.broken_loss.tolist() == losses
        for old, new in ((before.params, own.carried.params), *zip(before.moments, own.carried.moments, strict=True)):
            assert all((old[part] != new[part]).flatten(1).any(dim=1).tolist() == moves for part in old)


def test_before_an_inner_loop_only_a_sound_run_is_zeroed_and_only_when_it_is_due(tiny, noise):
    own = mover([tiny(zero_head_every=2), tiny(zero_head_every=2), tiny()], noise)
    own.carried = own.carried._replace(broken_at=torch.tensor([3, 0, 0]))
    assert heads(own.zeroed(4)) == [True, False, True]
    assert heads(own.zeroed(5)) == [True, True, True]


def test_a_step_is_told_its_number_from_1_and_which_heads_are_zeroed_before_and_after_it(tiny, noise):
    configs = [tiny(zero_head_every=every, zero_head_when="after_update") for every in (3, 0)]
    given = [mover(configs, noise).inputs(step) for step in range(4)]
    assert [int(inputs.number) for inputs in given] == [1, 2, 3, 4]
    assert [inputs.zeroed_before.tolist() for inputs in given] == [[step in (0, 3), False] for step in range(4)]
    assert [inputs.zeroed_after.tolist() for inputs in given] == [[step == 2, False] for step in range(4)]


def test_the_weights_of_the_query_losses_are_annealed_with_the_steps_in_the_dtype_of_the_trial(tiny, noise):
    own = mover([tiny(query_losses="every_step", annealed_steps=10, inner_steps=4)], noise)
    for step, share in ((0, 1.0), (4, 0.6)):
        weights = torch.tensor([share / 4] * 3 + [1 - share * 3 / 4], dtype=torch.float64)
        torch.testing.assert_close(own.inputs(step).query_weights, weights, rtol=1e-15, atol=0)
    assert mover([tiny()], noise).inputs(0).query_weights is None
