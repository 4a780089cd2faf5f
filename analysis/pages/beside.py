"""Tables of our values with the authors' and verdicts, and of their printed curves with their measurements."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

from analysis.contract.question import Endpoint, PlannedTrial, Word
from analysis.judging.readings import Readings, facts_of, published_values
from analysis.judging.verdicts import Match, ValueVerdict, value_verdicts
from analysis.numbers.endpoint import Unit, endpoint_sentence, unit_of
from analysis.numbers.stats import summary
from analysis.numbers.tables import Cell
from analysis.pages.contents import TextTable, axis_title
from analysis.pages.protocol import config_differences
from analysis.paper.margins import TaskFacts
from analysis.paper.published import Plotted, Published

OMNIGLOT_SPACING = 30
"""The horizontal axis of the printed Omniglot figures counts evaluations, which are this many outer steps apart."""

ALIKE_WHERE_READ = ("eval_steps", "eval_heads", "eval_each_step", "final_steps")
"""Fields that choose which inner steps and heads are scored, and change no score."""
EVALUATION = ("eval_split", "eval_episodes", "eval_adapts", "final_episodes")
"""Fields of evaluations. A probe reads none of them."""
PROBING = ("probe_every", "probe_first", "probe_episodes", "probe_orders")
"""Fields of probes. An accuracy reads none of them."""


def values_table(readings: Readings, endpoint: Endpoint, published: Published) -> TextTable | None:
    """Return the cells for which the authors have a value too; None if there is no such cell."""
    unit = unit_of(endpoint)
    rows: list[tuple[str, ...]] = []
    windows: dict[str, None] = {}
    for cells in _by_task(readings, endpoint).values():
        ours = {_key(cell): list(cell.values.values()) for cell, _ in cells}
        every = {_key(cell): published_values(published, cell.labels, endpoint, _step(cell, t)) for cell, t in cells}
        theirs = {key: list(values.values()) for key, values in every.items() if values}
        facts = facts_of(cells[0][1], endpoint)
        matches = {
            _key(cell): Match(_differing(trial, endpoint), _step(cell, trial), _step(cell, trial))
            for cell, trial in cells
            if _key(cell) in theirs
        }
        verdicts = value_verdicts(ours, theirs, facts, matches)
        for cell, trial in cells:
            key, step = _key(cell), _step(cell, trial)
            if key in theirs and cell.values:
                rows.append(_row(cell, step, theirs[key], verdicts[key], unit))
                windows[_windows(trial, endpoint, step)] = None
    if not rows:
        return None
    heads = (*map(axis_title, readings.axes), "outer step", "ours", "authors'", "ours - authors'", "verdict")
    first = len(readings.axes)
    return TextTable(
        caption=f"{endpoint_sentence(endpoint)}: our values and the authors', from their stored results.",
        heads=heads,
        rows=tuple(rows),
        numeric=(first + 1, first + 2, first + 3),
        notes=(
            f"{'Percent; ' if unit.name else ''}mean ± half the 95 % t-interval over n seeds; no interval below three "
            "seeds. The seeds of the two sides are independent and not paired. An agreement is a test of equivalence, "
            "not an overlap of intervals.",
            *filter(None, windows),
        ),
    )


def drawn_table(readings: Readings, endpoint: Endpoint, published: Published) -> TextTable | None:
    """Return the authors' printed curves of planned cells that differ from their measurements; None if none differs."""
    if unit_of(endpoint).name == "":
        return None
    planned = [trial.labels for trial in readings.plan]
    rows = [
        (curve.figure, _name(curve), f"{step:,}", f"{100 * drawn:.1f}", f"{100 * honest:.1f}")
        for curve in published.plotted
        if curve.figure in published.differences and any(curve.labels.items() >= labels.items() for labels in planned)
        for step, drawn, honest in _both(published, curve)
    ]
    if not rows:
        return None
    return TextTable(
        caption="The authors' printed curves and their measurements, in percent, averaged over their seeds.",
        heads=("figure", "curve", "at outer step", "as drawn there", "as measured there"),
        rows=tuple(rows),
        numeric=(3, 4),
    )


def _by_task(readings: Readings, endpoint: Endpoint) -> dict[TaskFacts, list[tuple[Cell, PlannedTrial]]]:
    """Return the cells by task, each with one of its trials; the spreads of one task are pooled."""
    trials = {tuple(trial.labels.values()): trial for trial in reversed(readings.plan)}
    found: dict[TaskFacts, list[tuple[Cell, PlannedTrial]]] = {}
    for cell in readings.cells(endpoint):
        trial = trials[tuple(cell.labels.values())]
        found.setdefault(facts_of(trial, endpoint), []).append((cell, trial))
    return found


def _differing(trial: PlannedTrial, endpoint: Endpoint) -> tuple[str, ...] | None:
    """Return the fields that differ from the paper's and change what `endpoint` reads; None if the paper has no cell.

    Both values were read after the same inner steps with the same head, so how many more of them were scored is no
    difference. Between evaluations lies nothing that a mean of one evaluation reads.
    """
    if trial.paper is None:
        return None
    unread = {*ALIKE_WHERE_READ, *(EVALUATION if endpoint.declared.measured == "probes" else PROBING)}
    if endpoint.window == 1:
        unread.add("eval_every")
    same = {name: value for name, value in trial.paper.items() if name in unread & trial.config.keys()}
    return config_differences(replace(trial, config={**trial.config, **same}))


def _key(cell: Cell) -> str:
    return " · ".join([*cell.labels.values(), cell.at])


def _step(cell: Cell, trial: PlannedTrial) -> int:
    return trial.target if cell.at in get_args(Word) else int(cell.at)


def _windows(trial: PlannedTrial, endpoint: Endpoint, step: int) -> str:
    """Say which outer steps a mean of evaluations at `step` covers, ours and the authors'; "" if they are the same."""
    if trial.paper is None or endpoint.declared.measured != "evaluations":
        return ""
    ours, theirs = (
        [*(range(every, step, every) if every else ()), step][-endpoint.window :]
        for every in (trial.config["eval_every"], trial.paper["eval_every"])
    )
    if ours == theirs:
        return ""
    said = (f"{at[0]:,} to {step:,}" if len(at) > 1 else f"{step:,} alone" for at in (ours, theirs))
    return "The two sides are means over other outer steps: ours {}, the authors' {}.".format(*said)


def _row(cell: Cell, step: int, theirs: Sequence[float], verdict: ValueVerdict, unit: Unit) -> tuple[str, ...]:
    assert verdict.difference is not None, "a row has values on both sides"
    difference = unit.scale * verdict.difference.value
    return (
        *cell.labels.values(),
        f"{step:,}",
        _mean(list(cell.values.values()), unit),
        _mean(theirs, unit),
        f"{round(difference, unit.digits) + 0.0:+.{unit.digits}f}",
        verdict.text() if verdict.reason else f"{verdict.word}: {verdict.text()}",
    )


def _mean(values: Sequence[float], unit: Unit) -> str:
    found = summary(values)
    half = f" ± {unit.scale * found.half_width:.{unit.digits}f}" if found.low <= found.high else ""
    return f"{unit.scale * found.mean:.{unit.digits}f}{half} (n = {found.n})"


def _name(curve: Plotted) -> str:
    return f"{', '.join(curve.labels.values())}, head {curve.test_head} at test"


def _both(published: Published, curve: Plotted) -> Iterator[tuple[int, float, float]]:
    """Yield each outer step with the value drawn at that place of the axis and the mean measured at that step."""
    spacing = OMNIGLOT_SPACING if max(curve.x) < max(curve.outer_step) / OMNIGLOT_SPACING * 2 else 1
    drawn = {round(x * spacing): value for x, value in zip(curve.x, curve.value, strict=True)}
    for step in published.steps(curve.labels, curve.test_head, curve.test_steps):
        measured = list(published.values(curve.labels, curve.test_head, curve.test_steps, step).values())
        if step in drawn and measured:
            yield step, drawn[step], sum(measured) / len(measured)
