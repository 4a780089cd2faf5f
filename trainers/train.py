"""The one training loop, as a generator of chunks: callers decide what to log, when to save and when to stop.

R runs train together as a pack; configs of a pack differ only in `PACKABLE` fields. Bits do not depend on where chunks
end: a chunk ends between two outer steps or between two slices of an evaluation, and every slice has a fixed size.
"""

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainers.adam import Moments, adam_step, no_moments
from trainers.chunk import Chunk, Record, RunChunk, RunState, RunStatus
from trainers.config import PACKABLE, TrialConfig
from trainers.engine_table import ENGINE_OF_DEVICE, SLICE_OF_ENGINE, EngineName
from trainers.engines import build
from trainers.episodes import evaluation_draw, gather, probe_draw, training_draw
from trainers.evaluation import Pass, due, nothing_scored, records_of
from trainers.networks import Params, initial_params, zero_head
from trainers.probes import probe

RECORD_EVERY = 10


def train(
    configs: Sequence[TrialConfig],
    pixels: Tensor,
    *,
    states: Sequence[RunState] | None = None,
    engine: EngineName | None = None,
    chunk_s: float = 1.0,
) -> Iterator[Chunk]:
    """Train the runs of `configs` together on the device of `pixels` (uint8 [classes, images, C, H, W]).

    Yields a chunk about every `chunk_s` seconds, evaluations included; one outer step or one evaluation slice is
    never cut. From `states` it goes on where they were taken and first yields their records again.
    Raises ValueError when the configs cannot share a pack or the states are at different points.
    """
    pack = _Pack(configs, pixels, engine or ENGINE_OF_DEVICE[pixels.device.type], states)
    while not pack.finished:
        ends = time.monotonic() + chunk_s
        pack.advance()
        while not pack.finished and time.monotonic() < ends:
            pack.advance()
        yield pack.chunk()
    if states is not None and not pack.reported:
        yield pack.chunk()


class _Pack:
    """The runs of one pack at one moment; `advance` moves them by one outer step or one slice of an evaluation."""

    def __init__(
        self, configs: Sequence[TrialConfig], pixels: Tensor, engine: EngineName, states: Sequence[RunState] | None
    ) -> None:
        _check_pack(configs, states)
        self.configs = configs
        self.shared = configs[0]
        self.pixels = pixels
        self.engine_name, self.engine = engine, build(engine, self.shared)
        self.slice = SLICE_OF_ENGINE[engine]
        self.inner_lr = self._per_run([config.inner_lr for config in configs])
        self.outer_lr = self._per_run([config.outer_lr for config in configs])
        if states is None:
            self.params = self._stack([initial_params(config) for config in configs])
            self.moments = no_moments(self.params)
            self.step = 0
            self.unsent: list[list[Record]] = [[] for _ in configs]
        else:
            self.params = self._stack([state.params for state in states])
            self.moments = Moments(*(self._stack([state.moments[n] for state in states]) for n in range(2)))
            self.step = states[0].step
            self.unsent = [list(state.records) for state in states]
        self.records = [list(records) for records in self.unsent]
        self.known = [{(record.step, record.key) for record in records} for records in self.records]
        self.trouble = [""] * len(configs)
        self.reported = False
        self.correct = nothing_scored(self.pending, len(configs))
        if states is not None and _scores_of_same(self.correct, states):
            self.correct = np.stack([state.correct for state in states])

    def _per_run(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=getattr(torch, self.shared.dtype), device=self.pixels.device)

    def _stack(self, runs: list[Params]) -> Params:
        return {name: torch.stack([run[name] for run in runs]).to(self.pixels.device) for name in runs[0]}

    @property
    def alive(self) -> list[bool]:
        return [not trouble for trouble in self.trouble]

    @property
    def pending(self) -> Pass | None:
        """The first pass of an evaluation that belongs after this step and is not yet complete."""
        return next((passed for passed in due(self.shared, self.step) if self._lacked(passed.key)), None)

    @property
    def probing(self) -> bool:
        """Whether a probe that belongs after this step is not yet taken."""
        every, since = self.shared.probe_every, self.step - self.shared.probe_first
        return every > 0 and since >= 0 and since % every == 0 and bool(self._lacked("probe"))

    def _lacked(self, key: str) -> list[int]:
        """Return the living runs without the record `key` of this step.

        Of each run, not of the pack: states may have been taken by themselves, one before a probe and one after.
        """
        return [n for n, known in enumerate(self.known) if not self.trouble[n] and (self.step, key) not in known]

    @property
    def finished(self) -> bool:
        return not any(self.alive) or (self.step >= self.shared.outer_steps and not self.pending and not self.probing)

    def advance(self) -> None:
        if self.probing:
            self._probe()
        elif passed := self.pending:
            self._score_slice(passed)
        else:
            self._outer_step()

    def _outer_step(self) -> None:
        params, moments, head_steps = self._zeroed_where_due(self.params), self.moments, None
        if self.shared.zero_head_adam == "reset":
            moments = Moments(*(self._zeroed_where_due(kept) for kept in self.moments))
            head_steps = [1 + self.step % n if (n := c.zero_head_every) else 1 + self.step for c in self.configs]
        episodes = [gather(training_draw(config, self.step), self.pixels, config) for config in self.configs]
        result = self.engine.meta_gradient(params, episodes, self.inner_lr, self.alive)
        self.step += 1
        self._check_finite(result.gradient, result.loss)
        self.params, self.moments = adam_step(
            params, moments, result.gradient, step=self.step, lr=self.outer_lr, alive=self._mask(self.alive),
            head_steps=head_steps,
        )  # fmt: skip
        if self.shared.zero_head_when == "after_update":
            self.params = self._zeroed_where_due(self.params)
        self.correct = nothing_scored(self.pending, len(self.configs))
        if self.step == 1 or self.step % RECORD_EVERY == 0:
            losses, accuracies = result.loss.tolist(), result.accuracy.tolist()
            for run in self._lacked("training"):
                value = {"query_loss": losses[run], "query_accuracy": accuracies[run]}
                self._record(run, Record(self.step, "training", value))

    def _zeroed_where_due(self, params: Params) -> Params:
        """Zero the head of every living run where the outer steps taken are a multiple of its zero_head_every.

        Called before the inner loops, as the released code zeroes. The paper's Algorithm zeroes once at the start and
        after each update; what the inner loops start from is the same, so that moment is only one call more.
        """
        due = [
            lives and config.zero_head_every > 0 and self.step % config.zero_head_every == 0
            for config, lives in zip(self.configs, self.alive, strict=True)
        ]
        mask, zeroed = self._mask(due), zero_head(params)
        return {
            name: torch.where(mask.view((-1,) + (1,) * (value.dim() - 1)), zeroed[name], value)
            for name, value in params.items()
        }

    def _mask(self, runs: list[bool]) -> Tensor:
        return torch.tensor(runs, device=self.pixels.device)

    def _probe(self) -> None:
        params = self._zeroed_where_due(self.params)
        for run in self._lacked("probe"):
            config = self.configs[run]
            episodes = gather(probe_draw(config), self.pixels, config)
            value = dict(probe(config, _row(params, run), episodes, self.engine_name))
            self._record(run, Record(self.step, "probe", value))

    def _check_finite(self, gradient: Params, loss: Tensor) -> None:
        # Adam squares the gradient: an overflow there would freeze the weight for ever, unseen.
        sound = torch.stack([grad.square().isfinite().flatten(1).all(dim=1) for grad in gradient.values()]).all(dim=0)
        for run, (value, usable) in enumerate(zip(loss.tolist(), sound.tolist(), strict=True)):
            if self.trouble[run] or (math.isfinite(value) and usable):
                continue
            why = f"gradient out of range, query loss {value:.4g}" if math.isfinite(value) else f"query loss {value}"
            self.trouble[run] = f"diverged at step {self.step}: {why}{self._last_finite(run)}"

    def _last_finite(self, run: int) -> str:
        """Return the last recorded loss in words: from the records, so that a resumed run says the same."""
        seen = [record for record in self.records[run] if record.key == "training"]
        return f"; it was {seen[-1].value['query_loss']:.4g} at step {seen[-1].step}" if seen else ""

    def _score_slice(self, passed: Pass) -> None:
        first = self.correct.shape[2]
        last = min(first + self.slice, passed.episodes)
        episodes = [gather(evaluation_draw(config, first, last), self.pixels, config) for config in self.configs]
        params_of_head = {"trained": self.params, "zeroed": zero_head(self.params)}
        counts = [
            self.engine.correct(params_of_head[head], episodes, self.inner_lr, self.alive, passed.scored)
            for head in passed.heads
        ]
        new = torch.stack(counts, dim=1).cpu().numpy()  # (R, heads, e, scored)
        self.correct = np.concatenate([self.correct, new], axis=2)
        if last == passed.episodes:
            for run in self._lacked(passed.key):
                for record in records_of(passed, self.configs[run], self.step, self.correct[run]):
                    self._record(run, record)
            self.correct = nothing_scored(self.pending, len(self.configs))

    def _record(self, run: int, record: Record) -> None:
        self.unsent[run].append(record)
        self.records[run].append(record)
        self.known[run].add((record.step, record.key))

    def chunk(self) -> Chunk:
        runs = tuple(
            RunChunk(tuple(self.unsent[run]), self._status(run), self.trouble[run]) for run in range(len(self.configs))
        )
        self.unsent = [[] for _ in self.configs]
        self.reported = True
        records = [tuple(records) for records in self.records]
        return Chunk(self.step, runs, partial(_states, self.step, self.params, self.moments, self.correct, records))

    def _status(self, run: int) -> RunStatus:
        if self.trouble[run]:
            return "diverged"
        return "done" if self.finished else "running"


def _states(
    step: int, params: Params, moments: Moments, correct: np.ndarray, records: list[tuple[Record, ...]]
) -> tuple[RunState, ...]:
    """Return each run's state; a pack never changes these tensors in place, so it may have moved on meanwhile."""
    return tuple(
        RunState(
            step=step,
            params=_cut(params, run),
            moments=Moments(_cut(moments.first, run), _cut(moments.second, run)),
            correct=correct[run].copy(),
            records=records[run],
        )
        for run in range(len(records))
    )


def _row(stacked: Params, run: int) -> Params:
    return {name: value[run] for name, value in stacked.items()}


def _cut(stacked: Params, run: int) -> Params:
    return {name: value.detach().cpu().clone() for name, value in _row(stacked, run).items()}


def _scores_of_same(nothing: np.ndarray, states: Sequence[RunState]) -> bool:
    """Return whether `states` have scores of the pass of which `nothing` is scored: (runs, heads, 0, scored)."""
    heads, _, scored = nothing.shape[1:]
    return heads > 0 and all(state.correct.shape[::2] == (heads, scored) for state in states)


def _check_pack(configs: Sequence[TrialConfig], states: Sequence[RunState] | None) -> None:
    shared = [{k: v for k, v in config.model_dump().items() if k not in PACKABLE} for config in configs]
    differing = sorted({name for other in shared for name in other if other[name] != shared[0][name]})
    if differing:
        raise ValueError(f"runs of a pack may differ in {sorted(PACKABLE)} alone; these differ in {differing}")
    if states is not None and len({(state.step, state.correct.shape) for state in states}) != 1:
        raise ValueError(f"runs of a pack go on from one step; these are at {[state.step for state in states]}")
