"""One outer step of a pack: tensors in, tensors out, and nothing for which the host must wait.

Shape letters: R runs, E episodes of each. `Mover` calls it; `captured.CapturedMover` replays it on a GPU.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.engines.adam import Corrections, Moments, adam_step, corrections, no_moments
from trainers.maml.engines.arithmetic import multiplying
from trainers.maml.engines.engine import Engine
from trainers.maml.episodes import Places, gather_at, places_of, training_draw
from trainers.maml.methods.multi_step import weights_at
from trainers.maml.nested import mapped
from trainers.maml.networks import HEAD, Params, zero_head


class Carried(NamedTuple):
    """What one step passes to the next, stacked on R.

    `broken_at` (R,) is the number of the step whose gradient or loss was out of range, 0 if there is none;
    `broken_loss` (R,) is its query loss. A broken run keeps its state from before that step.
    """

    params: Params
    moments: Moments
    broken_at: Tensor
    broken_loss: Tensor


class Inputs(NamedTuple):
    """The host's inputs of one step: its number from 1, its images, the heads to set to zero, Adam's corrections."""

    number: Tensor  # ()
    places: Places  # (R, E, ...)
    zeroed_before: Tensor  # (R,)
    zeroed_after: Tensor  # (R,)
    corrections: Corrections
    query_weights: Tensor | None  # (inner_steps,), of the query losses; None: the last one alone


class Seen(NamedTuple):
    """Mean loss in nats and accuracy in [0, 1] of each run's query sets before the update, (R,)."""

    loss: Tensor
    accuracy: Tensor


class Mover:
    """Takes the outer steps of a pack, one after another. A `carried` that a caller holds never changes."""

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        pixels: Tensor,
        engine: Engine,
        params: Params,
        moments: Moments | None = None,
    ) -> None:
        self._configs = configs
        self._shared = configs[0]
        self._pixels = pixels
        self._engine = engine
        self._outer_lr = self._per_run([config.outer_lr for config in configs])
        self.inner_lr = self._per_run([config.inner_lr for config in configs])
        broken_at = torch.zeros(len(configs), dtype=torch.int64, device=pixels.device)
        self.carried = Carried(params, moments or no_moments(params), broken_at, torch.zeros_like(self.inner_lr))
        self.seen = Seen(torch.zeros_like(self.inner_lr), torch.zeros_like(self.inner_lr))

    def take(self, step: int, alive: list[bool]) -> None:
        """Take the step after `step` others; runs not in `alive` may be skipped."""
        self.carried, self.seen = self.step(self.carried, self.sent(self.inputs(step)), alive)

    def kept(self) -> Carried:
        """Return `carried`; it never changes."""
        return self.carried

    def zeroed(self, step: int) -> Params:
        """Return the parameters from which inner loops start after `step` outer steps."""
        due = torch.tensor(self._due(step), device=self._pixels.device)
        return _zeroed_where(due & (self.carried.broken_at == 0), self.carried.params)

    def inputs(self, step: int) -> Inputs:
        """Return the inputs of the step after `step` others, in host memory."""
        head_steps = None
        if self._shared.zero_head_adam == "reset":
            head_steps = [1 + step % n if (n := config.zero_head_every) else 1 + step for config in self._configs]
        after = self._due(step + 1) if self._shared.zero_head_when == "after_update" else [False] * len(self._configs)
        draws = [training_draw(config, step) for config in self._configs]
        return Inputs(
            number=torch.tensor(step + 1),
            places=places_of(draws, turned=self._shared.rotations),
            zeroed_before=torch.tensor(self._due(step)),
            zeroed_after=torch.tensor(after),
            corrections=corrections(step + 1, len(draws), self._outer_lr.dtype, head_steps),
            query_weights=self._query_weights(step),
        )

    def _query_weights(self, step: int) -> Tensor | None:
        if self._shared.query_losses == "last_step":
            return None
        found = weights_at(step, self._shared.inner_steps, self._shared.annealed_steps)
        return torch.tensor(found, dtype=self._outer_lr.dtype)

    def sent(self, inputs: Inputs) -> Inputs:
        """Return `inputs` in device memory; the host does not wait."""
        return mapped(partial(sent, device=self._pixels.device), inputs)

    def step(self, carried: Carried, inputs: Inputs, alive: list[bool]) -> tuple[Carried, Seen]:
        """Return `carried` after one step, and the query results before it; a pure function."""
        living = carried.broken_at == 0
        params, moments = _zeroed_where(inputs.zeroed_before & living, carried.params), carried.moments
        if self._shared.zero_head_adam == "reset":
            moments = Moments(*(_zeroed_where(inputs.zeroed_before & living, kept) for kept in moments))
        stack = gather_at(inputs.places, self._pixels, self._shared)
        episodes = [stack.at(run) for run in range(len(self._configs))]
        with multiplying(self._shared.arithmetic, self._pixels.device):
            found = self._engine.meta_gradient(params, episodes, self.inner_lr, alive, inputs.query_weights)
        # Adam squares the gradient; an overflow there would silently freeze the weight for ever.
        usable = [grad.square().isfinite().flatten(1).all(dim=1) for grad in found.gradient.values()]
        sound = torch.stack(usable).all(dim=0) & found.loss.isfinite()
        breaking, going = living & ~sound, living & sound
        params, moments = adam_step(
            params, moments, found.gradient, corrections=inputs.corrections, lr=self._outer_lr, alive=going
        )
        moved = Carried(
            _zeroed_where(inputs.zeroed_after & going, params),
            moments,
            torch.where(breaking, inputs.number, carried.broken_at),
            torch.where(breaking, found.loss, carried.broken_loss),
        )
        return moved, Seen(found.loss, found.accuracy)

    def _due(self, step: int) -> list[bool]:
        """Return for each run whether its head is zeroed after `step` outer steps: at multiples of its zero_head_every.

        Zeroing comes before the inner loops, as in the released code. The paper's Algorithm zeroes once at the start
        and after each update. The inner loops start from the same parameters, so that only adds one call.
        """
        return [config.zero_head_every > 0 and step % config.zero_head_every == 0 for config in self._configs]

    def _per_run(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=getattr(torch, self._shared.dtype), device=self._pixels.device)


def sent(here: Tensor, device: torch.device) -> Tensor:
    """Return `here` on `device`; for a GPU through pinned memory, so that the host does not wait."""
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


def _zeroed_where(runs: Tensor, params: Params) -> Params:
    """Return `params` with a zero head in each run for which `runs` (R,) is true."""
    zeroed = zero_head(params)
    return {
        name: torch.where(runs.view((-1,) + (1,) * (value.dim() - 1)), zeroed[name], value) if name in HEAD else value
        for name, value in params.items()
    }
