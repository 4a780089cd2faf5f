"""Cells in words: the answer of a sweep without a planned primary claim. Gives no verdict, computes no statistics."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.numbers.endpoint import PERCENT, Unit
from analysis.numbers.tables import Cell, Difference, Table, where
from analysis.pages.contents import Answer, Verdict


def answer(every: Sequence[Cell], contrasts: Sequence[Table]) -> Answer:
    """Return the range of the means, and for each table of differences the number that exclude 0."""
    read = [cell for cell in every if cell.values]
    if not read:
        return Answer("No trial has a value.")
    complete = sum(not cell.missing for cell in every)
    low, high = (choose(read, key=lambda cell: cell.summary.mean) for choose in (min, max))
    sentence = f"{complete} of {len(every)} cells are complete"
    if len(read) == 1:
        sentence += f"; the mean is {low.text()}{_named(low.unit)}"
    else:
        means = f"means in{_named(low.unit)}" if low.unit.name else "means"
        places = [where(replace(cell, labels=_varying(cell, every))) or where(cell) for cell in (low, high)]
        sentence += f"; {means} go from {low.text()} ({places[0]}) to {high.text()} ({places[1]})"
    return Answer(f"{sentence}.", tuple(Verdict("", text) for text in map(_differences, contrasts) if text))


def _named(unit: Unit) -> str:
    if unit == PERCENT:
        return " percent"
    return f" {unit.name}" if unit.name else ""


def _varying(cell: Cell, every: Sequence[Cell]) -> dict[str, str]:
    """Return the labels of the axes that have several values."""
    return {axis: label for axis, label in cell.labels.items() if len({each.labels[axis] for each in every}) > 1}


def _differences(contrast: Table) -> str:
    found = [cell for cell in contrast.cells.values() if isinstance(cell, Difference) and cell.paired.seeds]
    if not found:
        return ""
    unit = found[0].unit
    means = [f"{unit.scale * mean:+.{unit.digits}f}" for mean in sorted(cell.paired.mean for cell in found)]
    judged = [cell.paired for cell in found if cell.paired.low <= cell.paired.high]
    span = means[0] if len(means) == 1 else f"{means[0]} to {means[-1]}"
    points = " points" if unit == PERCENT else _named(unit)
    name = contrast.caption[: contrast.caption.index(found[0].contrast)] + found[0].contrast
    text = f"{name}: {span}{points} over {len(found)} comparison{'' if len(found) == 1 else 's'} by seed"
    if not judged:
        return f"{text}; none has the 3 seeds that an interval needs."
    plural = "" if len(judged) == 1 else "s"
    above, below = (sum(test) for test in ([pair.low > 0 for pair in judged], [pair.high < 0 for pair in judged]))
    return f"{text}; of {len(judged)} unadjusted 95 % interval{plural}, {above} above 0 and {below} below 0."
