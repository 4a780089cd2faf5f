"""The training of one prototypical network, as a generator of chunks. Saves and journals nothing.

A step draws its episodes by its number, so that no bit depends on where a training stopped. What a step measured and
its evaluation stand in one record. A training that stops within an evaluation begins that evaluation again.
"""

import math
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from trainers.function.state_content import decode, encode
from trainers.maml.engines.adam import Moments, adam_step, corrections, no_moments
from trainers.maml.episodes import evaluation_draw, gather, training_draw
from trainers.maml.networks import HEAD, Params, initial_params
from trainers.protonet.config import ProtonetConfig, evaluation_episodes, training_episodes
from trainers.protonet.episode import accuracy, loss_and_accuracy
from trainers.state_file import State
from trainers.trainer import READINGS, Chunk, Record, RunChunk, RunStatus

RECORD_EVERY = 10


class Training:
    """One run from `state`; `pixels` is uint8 [classes, images, C, H, W] on the device that trains."""

    def __init__(self, config: ProtonetConfig, pixels: Tensor, state: State) -> None:
        self.config, self.pixels = config, pixels
        self.training, self.evaluation = training_episodes(config), evaluation_episodes(config)
        self.step = state.step
        self.records = list(state.records)
        self.unsent = list(state.records)
        self.params = _encoder(initial_params(self.training))
        self.moments = no_moments(self.params)
        self.pending: dict[str, float] = {}
        """What the last step measured, while its evaluation is not complete."""
        if state.content:
            kept = decode(state.content)
            self.params = kept["params"]
            self.moments = Moments(kept["first"], kept["second"])
            self.pending = kept["pending"]
        self.params = self._here(self.params)
        self.moments = Moments(self._here(self.moments.first), self._here(self.moments.second))
        self.trouble = ""

    def _here(self, params: Params) -> Params:
        return {name: value.to(self.pixels.device) for name, value in params.items()}

    def chunks(self, chunk_s: float) -> Iterator[Chunk]:
        """Yield news about every `chunk_s` seconds, and at the end."""
        ends = time.monotonic() + chunk_s
        for _ in self._work():
            if time.monotonic() >= ends:
                yield self._chunk("running")
                ends = time.monotonic() + chunk_s
        yield self._chunk("diverged" if self.trouble else "done")

    def _work(self) -> Iterator[None]:
        """Train to the end, and pause wherever the training may stop."""
        if self.pending:
            yield from self._evaluate()
        while self.step < self.config.outer_steps and not self.trouble:
            self._take_step()
            if not self.trouble and self.step % self.config.eval_every == 0:
                yield from self._evaluate()
            yield

    def _take_step(self) -> None:
        names = list(self.params)
        leaves = [self.params[name].detach().requires_grad_() for name in names]
        here = dict(zip(names, leaves, strict=True))
        drawn = gather(training_draw(self.training, self.step), self.pixels, self.training)
        measured = [loss_and_accuracy(self.training, here, drawn.at(n)) for n in range(self.config.episodes)]
        loss = torch.stack([loss for loss, _ in measured]).mean()
        gradient = dict(zip(names, torch.autograd.grad(loss, leaves), strict=True))
        self.step += 1
        value = float(loss.detach())
        if not math.isfinite(value) or not all(bool(part.isfinite().all()) for part in gradient.values()):
            self.trouble = f"diverged at step {self.step}: loss {value:.4g}, or its gradient, is not finite"
            return
        self._move(gradient)
        seen = {"loss": value, "training_accuracy": float(torch.stack([right for _, right in measured]).mean())}
        if self.step % self.config.eval_every == 0:
            self.pending = seen
        elif self.step % RECORD_EVERY == 0:
            self._record(seen)

    def _move(self, gradient: Params) -> None:
        halvings = (self.step - 1) // self.config.lr_halved_every if self.config.lr_halved_every else 0
        dtype, device = getattr(torch, self.config.dtype), self.pixels.device
        stacked = [{name: value[None] for name, value in part.items()} for part in (self.params, *self.moments)]
        params, moments = adam_step(
            stacked[0],
            Moments(stacked[1], stacked[2]),
            {name: value[None] for name, value in gradient.items()},
            corrections=corrections(self.step, 1, dtype),
            lr=torch.tensor([self.config.lr * 0.5**halvings], dtype=dtype, device=device),
            alive=torch.tensor([True], device=device),
        )
        self.params = {name: value[0].detach() for name, value in params.items()}
        self.moments = Moments(*({name: value[0].detach() for name, value in part.items()} for part in moments))

    def _evaluate(self) -> Iterator[None]:
        scored: dict[str, float] = {}
        for split in self.evaluation.eval_splits:
            right: list[float] = []
            for number in range(self.config.eval_episodes):
                draw = evaluation_draw(self.evaluation, number, number + 1, split)
                episode = gather(draw, self.pixels, self.evaluation).at(0)
                right.append(accuracy(self.evaluation, self.params, episode))
                yield
            spread = statistics.stdev(right) if len(right) > 1 else 0.0
            scored |= {f"accuracy/{split}": math.fsum(right) / len(right), f"episode_sd/{split}": spread}
        self._record(self.pending | scored)
        self.pending = {}

    def _record(self, numbers: dict[str, float]) -> None:
        self.records.append(Record(self.step, READINGS, numbers))
        self.unsent.append(self.records[-1])

    def _chunk(self, status: RunStatus) -> Chunk:
        news = RunChunk(tuple(self.unsent), status, self.trouble)
        self.unsent = []
        step, records, content = self.step, tuple(self.records), self._content()
        return Chunk(step, (news,), lambda: (State(step=step, records=records, content=encode(content)),))

    def _content(self) -> dict[str, Any]:
        """Return the state; its tensors never change, since each step makes new ones."""
        parts = {"params": self.params, "first": self.moments.first, "second": self.moments.second}
        there = {key: {name: value.cpu() for name, value in part.items()} for key, part in parts.items()}
        return there | {"pending": dict(self.pending)}


def _encoder(params: Params) -> Params:
    return {name: value for name, value in params.items() if name not in HEAD}
