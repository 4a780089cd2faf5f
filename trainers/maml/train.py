"""The training loop, as a generator of chunks: callers decide what to log, when to save and when to stop.

R runs train together as a pack; their configs differ only in `PACKABLE` fields. No bit depends on where chunks end: a
chunk ends between two outer steps or between two slices of an evaluation, and every slice has a fixed size.
"""

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainers.maml.adapt import adapted_names
from trainers.maml.config import PACKABLE, TrialConfig, shared_by_pack
from trainers.maml.engines.adam import Moments, no_moments
from trainers.maml.engines.arithmetic import multiplying
from trainers.maml.engines.captured import CapturedMover
from trainers.maml.engines.engines import build
from trainers.maml.engines.outer_step import Carried, Mover
from trainers.maml.engines.table import SLICE_OF_ENGINE, EngineName, cannot_treat, fastest
from trainers.maml.episodes import evaluation_draw, gather, probe_draw
from trainers.maml.evaluation import Pass, due, nothing_scored, position, records_of
from trainers.maml.networks import Params, initial_params, zero_head
from trainers.maml.probes import probe
from trainers.maml.rates import initial_rates
from trainers.maml.run_state import RunState
from trainers.trainer import Chunk, Record, RunChunk, RunStatus

RECORD_EVERY = 10
MOVERS: dict[EngineName, type[Mover]] = {"graph": CapturedMover, "unfold": CapturedMover}


def train(
    configs: Sequence[TrialConfig],
    pixels: Tensor,
    *,
    states: Sequence[RunState] | None = None,
    engine: EngineName | None = None,
    chunk_s: float = 1.0,
) -> Iterator[Chunk]:
    """Train the runs of `configs` together on the device of `pixels` (uint8 [classes, images, C, H, W]).

    Yields a chunk about every `chunk_s` seconds, also during evaluations; an outer step or an evaluation slice is
    never interrupted. With `states` it continues where they were taken, and first yields their records again.
    Raises ValueError if the configs cannot share a pack, if the states are at different points, or if the engine on
    this device can't train the configs. Without `engine`, the fastest that can is taken.
    """
    engine = engine or fastest(configs[0], pixels.device.type)
    if reason := cannot_treat(engine, configs[0], pixels.device.type):
        raise ValueError(reason)
    pack = _Pack(configs, pixels, engine, [begun(config) for config in configs] if states is None else states)
    while not pack.finished:
        ends = time.monotonic() + chunk_s
        pack.advance()
        while not pack.finished and time.monotonic() < ends:
            pack.advance()
        yield pack.chunk()
    if not pack.reported:
        yield pack.chunk()


def begun(config: TrialConfig) -> RunState:
    """Return the state of a run that has not taken a step."""
    params = initial_params(config)
    params |= initial_rates(config, {name: params[name] for name in adapted_names(config.algorithm, params)})
    return RunState(step=0, params=params, moments=no_moments(params), correct=nothing_scored(None, 1)[0], records=())


class _Pack:
    """The runs of one pack; `advance` takes one outer step, scores one slice of an evaluation, or takes a probe."""

    def __init__(
        self, configs: Sequence[TrialConfig], pixels: Tensor, engine: EngineName, states: Sequence[RunState]
    ) -> None:
        _check_pack(configs, states)
        self.configs = configs
        self.shared = configs[0]
        self.pixels = pixels
        self.engine_name, self.engine = engine, build(engine, self.shared)
        self.slice = SLICE_OF_ENGINE[engine]
        params = self._stack([state.params for state in states])
        moments = Moments(*(self._stack([state.moments[n] for state in states]) for n in range(2)))
        self.step = states[0].step
        self.unsent = [list(state.records) for state in states]
        self.mover = MOVERS.get(engine, Mover)(configs, pixels, self.engine, params, moments)
        self.records = [list(records) for records in self.unsent]
        self.known = [{(record.step, record.key) for record in records} for records in self.records]
        self.trouble = [""] * len(configs)
        self.reported = False
        self.correct = nothing_scored(self.pending, len(configs))
        if position(configs[0], states[0]).scored:
            self.correct = np.stack([state.correct for state in states])

    def _stack(self, runs: list[Params]) -> Params:
        return {name: torch.stack([run[name] for run in runs]).to(self.pixels.device) for name in runs[0]}

    @property
    def alive(self) -> list[bool]:
        return [not trouble for trouble in self.trouble]

    @property
    def pending(self) -> Pass | None:
        """The first pass that follows this step and is not yet complete."""
        for passed in due(self.shared, self.step):
            if self._lacked(passed.key):
                return passed
        return None

    @property
    def probing(self) -> bool:
        """Whether a probe that follows this step is not yet taken."""
        every, since = self.shared.probe_every, self.step - self.shared.probe_first
        return every > 0 and since >= 0 and since % every == 0 and bool(self._lacked("probe"))

    def _lacked(self, key: str) -> list[int]:
        """Return the living runs without the record `key` of this step.

        Runs of a pack may differ in that: one state may have been taken before a probe and another after it.
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
        self.mover.take(self.step, self.alive)
        self.step += 1
        recorded = self.step == 1 or self.step % RECORD_EVERY == 0
        if recorded or self.step >= self.shared.outer_steps or not self.pixels.is_cuda:
            self._look()  # to read a result of a GPU is to wait for it
        self.correct = nothing_scored(self.pending, len(self.configs))
        if recorded:
            losses, accuracies = (seen.tolist() for seen in self.mover.seen)
            for run in self._lacked("training"):
                value = {"query_loss": losses[run], "query_accuracy": accuracies[run]}
                self._record(run, Record(self.step, "training", value))

    def _look(self) -> None:
        """Note the runs that have diverged since the last look."""
        at, losses = self.mover.carried.broken_at.tolist(), self.mover.carried.broken_loss.tolist()
        for run, (step, loss) in enumerate(zip(at, losses, strict=True)):
            if step and not self.trouble[run]:
                why = f"gradient out of range, query loss {loss:.4g}" if math.isfinite(loss) else f"query loss {loss}"
                self.trouble[run] = f"diverged at step {step}: {why}{self._last_finite(run)}"
        if not any(self.alive):
            self.step = max(at)

    def _probe(self) -> None:
        self._look()
        params = self.mover.zeroed(self.step)
        for run in self._lacked("probe"):
            config = self.configs[run]
            episodes = gather(probe_draw(config), self.pixels, config)
            value = dict(probe(config, _row(params, run), episodes, self.engine_name))
            self._record(run, Record(self.step, "probe", value))

    def _last_finite(self, run: int) -> str:
        """Return the last recorded loss in words, from the records, so that a resumed run says the same."""
        seen = [record for record in self.records[run] if record.key == "training"]
        return f"; it was {seen[-1].value['query_loss']:.4g} at step {seen[-1].step}" if seen else ""

    def _score_slice(self, passed: Pass) -> None:
        first = self.correct.shape[2]
        last = min(first + self.slice, passed.episodes)
        episodes = [
            [gather(evaluation_draw(config, first, last, split), self.pixels, config) for config in self.configs]
            for split in passed.splits
        ]
        self._look()
        params = self.mover.carried.params
        params_of_head = {"trained": params, "zeroed": zero_head(params)}
        with multiplying(self.shared.arithmetic, self.pixels.device):
            counts = [
                self.engine.correct(params_of_head[head], own, self.mover.inner_lr, self.alive, passed.scored)
                for own in episodes
                for head in passed.heads
            ]
        new = torch.stack(counts, dim=1).cpu().numpy()  # (R, rows, e, scored)
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
        self._look()
        runs = tuple(
            RunChunk(tuple(self.unsent[run]), self._status(run), self.trouble[run]) for run in range(len(self.configs))
        )
        self.unsent = [[] for _ in self.configs]
        self.reported = True
        records = [tuple(records) for records in self.records]
        return Chunk(self.step, runs, partial(_states, self.step, self.mover.kept(), self.correct, records))

    def _status(self, run: int) -> RunStatus:
        if self.trouble[run]:
            return "diverged"
        return "done" if self.finished else "running"


def _states(
    step: int, carried: Carried, correct: np.ndarray, records: list[tuple[Record, ...]]
) -> tuple[RunState, ...]:
    """Return each run's state; these tensors never change, even when the pack continues."""
    return tuple(
        RunState(
            step=step,
            params=_cut(carried.params, run),
            moments=Moments(_cut(carried.moments.first, run), _cut(carried.moments.second, run)),
            correct=correct[run].copy(),
            records=records[run],
        )
        for run in range(len(records))
    )


def _row(stacked: Params, run: int) -> Params:
    return {name: value[run] for name, value in stacked.items()}


def _cut(stacked: Params, run: int) -> Params:
    return {name: value.detach().cpu().clone() for name, value in _row(stacked, run).items()}


def _check_pack(configs: Sequence[TrialConfig], states: Sequence[RunState]) -> None:
    shared = [dict(shared_by_pack(config)) for config in configs]
    differing = sorted({name for other in shared for name in other if other[name] != shared[0][name]})
    if differing:
        raise ValueError(f"runs of a pack may differ only in {sorted(PACKABLE)}; these differ in {differing}")
    positions = [position(config, state) for config, state in zip(configs, states, strict=True)]
    if len(set(positions)) != 1:
        raise ValueError(f"runs of a pack must continue from one point; these are at {'; '.join(map(str, positions))}")
