"""Which passes the evaluations of a trial have, and the records that they give; `train` does the scoring.

A trial has evaluation passes, one every `eval_every` outer steps and one at the end. It may have a separate final pass,
which is longer and scores everything. All passes score the first episodes of one fixed list.
"""

from typing import Literal, NamedTuple

import numpy as np

from trainers.maml.config import HEADS, Head, TrialConfig
from trainers.maml.run_state import RunState
from trainers.trainer import Record

Split = Literal["val", "test"]


class Pass(NamedTuple):
    """One pass: the heads from which adaptation starts, and the inner steps after which it scores (ascending).

    It scores `episodes` episodes of each of `splits`.
    """

    key: Literal["evaluation", "final"]
    heads: tuple[Head, ...]
    scored: tuple[int, ...]
    episodes: int
    splits: tuple[Split, ...]

    @property
    def rows(self) -> int:
        """The number of rows of its scores: the heads of each split, one split after the other."""
        return len(self.splits) * len(self.heads)

    def key_of(self, split: Split) -> str:
        """Return the key of the record of `split`: that of the pass for the last split, one of its own for another."""
        return self.key if split == self.splits[-1] else f"{self.key}_{split}"


def due(config: TrialConfig, step: int) -> tuple[Pass, ...]:
    """Return the passes that follow outer step `step`, in order."""
    ended = step >= config.outer_steps
    passes = []
    if ended or (config.eval_every > 0 and step > 0 and step % config.eval_every == 0):
        heads = HEADS if config.eval_heads == "both" else (config.eval_heads,)
        first = 0 if config.eval_each_step else config.scored_steps
        scored = tuple(range(first, config.scored_steps + 1))
        passes.append(Pass("evaluation", heads, scored, config.eval_episodes, config.eval_splits))
    if ended and config.final_episodes:
        scored = tuple(range(config.final_scored_steps + 1))
        passes.append(Pass("final", HEADS, scored, config.final_episodes, config.eval_splits[-1:]))
    return tuple(passes)


def nothing_scored(passed: Pass | None, runs: int) -> np.ndarray:
    """Return the scores of `passed` before its first episode: integers (runs, rows, 0, scored)."""
    rows, scored = (passed.rows, len(passed.scored)) if passed else (0, 0)
    return np.zeros((runs, rows, 0, scored), dtype=np.int64)


class Position(NamedTuple):
    """Where a run goes on: after outer step `step`, with `scored` episodes of the pass `key` (None: of no pass)."""

    step: int
    key: str | None
    scored: int

    def __str__(self) -> str:
        return f"step {self.step}" + (f", {self.scored} episodes into its {self.key} pass" if self.scored else "")


def position(config: TrialConfig, state: RunState) -> Position:
    """Return where a run of `config` goes on from `state`. Runs of one pack are at the same position.

    The scores in `state` count only if they are of the pass that is pending: a target may have grown since.
    """
    known = {record.key for record in state.records if record.step == state.step}
    passed = next((passed for passed in due(config, state.step) if passed.key not in known), None)
    if passed is None:
        return Position(state.step, None, 0)
    of_same = state.correct.shape[::2] == (passed.rows, len(passed.scored))
    return Position(state.step, passed.key, state.correct.shape[1] if of_same else 0)


def records_of(passed: Pass, config: TrialConfig, step: int, correct: np.ndarray) -> list[Record]:
    """Return the records of one run's complete pass; `correct` (rows, episodes, scored) counts correct query images.

    The last pass of a trial also records each episode's scores on its last split.
    """
    queries = config.ways * config.queries
    records = []
    for number, split in enumerate(passed.splits):
        own = correct[number * len(passed.heads) : (number + 1) * len(passed.heads)]
        scores = own / queries
        spread = scores.std(axis=1, ddof=1) if scores.shape[1] > 1 else np.zeros_like(scores[:, 0])
        value = {
            "split": split,
            "episodes": scores.shape[1],
            "accuracy": _by_head(passed, scores.mean(axis=1)),
            "sd": _by_head(passed, spread),
        }
        records.append(Record(step, passed.key_of(split), value))
    if step >= config.outer_steps and passed == due(config, step)[-1]:
        unscored: list[list[int]] = [[]] * passed.scored[0]
        last = correct[-len(passed.heads) :]
        counts = {head: unscored + own.T.tolist() for head, own in zip(passed.heads, last, strict=True)}
        records.append(Record(step, "scores", {"queries": queries, "correct": counts}))
    return records


def _by_head(passed: Pass, numbers: np.ndarray) -> dict[str, list[float | None]]:
    """Return `numbers` (heads, scored) as lists indexed by inner step, with None where nothing was scored."""
    unscored: list[float | None] = [None] * passed.scored[0]
    return {head: unscored + own.tolist() for head, own in zip(passed.heads, numbers, strict=True)}
