"""The protocol of planned trials: their configs, the origin of each value, and the differences from the paper.

The length is treated separately: a shorter run equals the paper's run up to its end, while a run that differs in any
other field is another experiment.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from analysis.contract.question import PlannedTrial
from analysis.judging.verdicts import NO_PAPER
from analysis.pages.contents import Section, TextTable, axis_title

WATCHING = {
    "maml": frozenset((
        "probe_every", "probe_first", "probe_episodes", "eval_heads", "eval_each_step", "final_episodes", "final_steps",
    ))
}  # fmt: skip
"""Trainer -> fields that only add or drop measurements: they change neither the training nor any measured number."""
SEED = "seed"
DEFAULT = "default"
"""The origin of a field that was not set."""
EVERY_CELL = "every cell"


def config_differences(trial: PlannedTrial) -> tuple[str, ...]:
    """Return the fields that differ from the paper's, e.g. ("eval_episodes 100 (paper 992)",).

    The length and the fields of `WATCHING` are left out. If the result is empty, the trial's numbers may be compared
    with the paper's at the steps that it reaches.
    """
    if trial.paper is None:
        return (NO_PAPER,)
    left_out = {trial.length, *WATCHING.get(trial.trainer, ())}
    return tuple(
        f"{field} {written(value)} (paper {written(trial.paper[field])})"
        for field, value in trial.config.items()
        if field not in left_out and value != trial.paper[field]
    )


def step_target(trial: PlannedTrial) -> str:
    """Return the trial's target with the paper's length, e.g. "300 of the paper's 3,000"."""
    length = length_of_paper(trial)
    if length is None:
        return written(trial.target)
    if trial.target == length:
        return f"the paper's {written(length)}"
    return f"{written(trial.target)}{' of' if trial.target < length else ', more than'} the paper's {written(length)}"


def length_of_paper(trial: PlannedTrial) -> int | None:
    """Return the length of the paper's own cell; None without such a cell, or for a trainer without a length."""
    return None if trial.paper is None or trial.length is None else trial.paper[trial.length]


def paper_differences(plan: Sequence[PlannedTrial]) -> tuple[str, ...]:
    """Return one sentence per difference with the cells that have it, then one per step target.

    Empty if every cell is the paper's at full length, or if the sweep rebuilds no result of the paper.
    """
    if all(trial.paper is None for trial in plan):
        return ()
    cells = _cells(plan)
    by_difference: dict[str, list[PlannedTrial]] = {}
    for trial in cells:
        for difference in config_differences(trial):
            by_difference.setdefault(difference, []).append(trial)
    sentences = [f"{_start(text)}: {cells_in_words(trials, cells)}." for text, trials in by_difference.items()]
    targets: dict[str, list[PlannedTrial]] = {}
    for trial in cells:
        if length_of_paper(trial) not in (None, trial.target):
            targets.setdefault(step_target(trial), []).append(trial)
    steps = "Outer steps" if all(trial.trainer == "maml" for trial in plan) else "Steps"
    sentences += [f"{steps} {text}: {cells_in_words(trials, cells)}." for text, trials in targets.items()]
    return tuple(sentences)


def protocol(plan: Sequence[PlannedTrial]) -> Section:
    """Return the section "Protocol": number of trials, fields with one value, fields that differ, default fields."""
    cells = _cells(plan)
    seeds = sorted({trial.seed for trial in plan})
    paragraphs = [
        f"{_counted(len(plan), 'trial')}: {_counted(len(cells), 'cell')}, seeds {', '.join(map(str, seeds))}. "
        "Field names are those of sweep files."
    ]
    tables: list[TextTable] = []
    by_trainer: dict[str, list[PlannedTrial]] = {}
    for trial in plan:
        by_trainer.setdefault(trial.trainer, []).append(trial)
    for trainer, trials in by_trainer.items():
        said, own = _fields_of(trials, f" of {trainer}" if len(by_trainer) > 1 else "")
        paragraphs += said
        tables += own
    return Section(title="Protocol", paragraphs=tuple(paragraphs), tables=tuple(tables))


def _fields_of(plan: Sequence[PlannedTrial], of: str) -> tuple[list[str], list[TextTable]]:
    """Return what the protocol says of the fields of one trainer's trials; `of` names it if there are several."""
    fields = [field for field in plan[0].config if field != SEED]
    alike = [field for field in fields if len(_values(plan, field)) == 1]
    untouched = [field for field in alike if _origins(plan, field) == (DEFAULT,)]
    said = []
    if untouched:
        defaults = ", ".join(f"{field} {written(plan[0].config[field])}" for field in untouched)
        said.append(f"Trainer's defaults in every trial{of}: {defaults}.")
    constant = tuple(
        (field, written(plan[0].config[field]), "; ".join(_origins(plan, field)))
        for field in alike
        if field not in untouched
    )
    varying = tuple(row for field in fields if field not in alike for row in _varying(plan, field))
    tables = (
        TextTable(
            caption=f"Fields with the same value in every trial{of}.", heads=("field", "value", "from"), rows=constant
        ),
        TextTable(
            caption=f"Fields that differ between cells{of}.", heads=("field", "value", "cells", "from"), rows=varying
        ),
    )
    return said, [table for table in tables if table.rows]


def cells_in_words(some: Collection[PlannedTrial], every: Sequence[PlannedTrial]) -> str:
    """Return the cells `some` of `every` in words, one trial per cell: by the axes that select them, or as a list."""
    if len(some) == len(every):
        return EVERY_CELL
    kept = {axis: {trial.labels[axis] for trial in some} for axis in every[0].labels}
    chosen = [trial for trial in every if all(trial.labels[axis] in labels for axis, labels in kept.items())]
    if len(chosen) > len(some):
        return "; ".join(", ".join(trial.labels.values()) for trial in some)
    telling = _telling(every, kept, len(some))
    return "; ".join(f"{axis_title(axis)} {', '.join(_ordered(every, axis, kept[axis]))}" for axis in telling)


def written(value: Any) -> str:
    """Return a field's value as in a sweep file, with thousands separators."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:,}" if isinstance(value, int) else str(value)


def _cells(plan: Iterable[PlannedTrial]) -> list[PlannedTrial]:
    """Return the first trial of each cell."""
    cells: dict[tuple[str, ...], PlannedTrial] = {}
    for trial in plan:
        cells.setdefault(tuple(trial.labels.values()), trial)
    return list(cells.values())


def _values(plan: Sequence[PlannedTrial], field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(written(trial.config[field]) for trial in plan))


def _origins(plan: Sequence[PlannedTrial], field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trial.origins[field] for trial in plan))


def _varying(plan: Sequence[PlannedTrial], field: str) -> list[tuple[str, str, str, str]]:
    cells = _cells(plan)
    rows = []
    for value in _values(plan, field):
        having = [trial for trial in cells if written(trial.config[field]) == value]
        rows.append((field, value, cells_in_words(having, cells), "; ".join(_origins(having, field))))
    return rows


def _telling(every: Sequence[PlannedTrial], kept: Mapping[str, set[str]], count: int) -> tuple[str, ...]:
    """Return the fewest axes whose labels select the same `count` cells as all axes together."""
    return next(
        axes
        for size in range(1, len(kept) + 1)
        for axes in combinations(kept, size)
        if sum(all(trial.labels[axis] in kept[axis] for axis in axes) for trial in every) == count
    )


def _ordered(every: Sequence[PlannedTrial], axis: str, labels: set[str]) -> list[str]:
    return [label for label in dict.fromkeys(trial.labels[axis] for trial in every) if label in labels]


def _start(text: str) -> str:
    """Return `text` as the start of a sentence; a field name stays as it is."""
    return f"{text[0].upper()}{text[1:]}" if text == NO_PAPER else text


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
