"""The report's page and its answer in words: text from tables and cells that are already computed."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.endpoint import endpoint_sentence
from analysis.markup import markdown, markdown_text
from analysis.tables import Cell, Difference, Table, where
from sweeper.schema import ARTIFACT, Endpoint


def answer(every: Sequence[Cell], contrasts: Sequence[Table]) -> str:
    """Return the range of the means and how many differences exclude 0: descriptive, no verdict."""
    read = [cell for cell in every if cell.values]
    complete = sum(not cell.missing for cell in every)
    low, high = (choose(read, key=lambda cell: cell.summary.mean) for choose in (min, max))
    sentence = f"{complete} of {len(every)} cells are complete"
    if len(read) == 1:
        sentence += f"; the mean is {low.text()} percent"
    else:
        sentence += f"; means in percent go from {low.text()} ({where(low)}) to {high.text()} ({where(high)})"
    return " ".join([f"{sentence}.", *filter(None, map(_differences, contrasts))])


def page(
    *,
    question: str,
    sentence: str,
    endpoint: Endpoint,
    tables: Sequence[tuple[str, Table]],
    figures: Sequence[str],
    every: Sequence[Cell],
    unreadable: Sequence[str],
    source: str,
) -> str:
    """Return report.md; `tables` and `figures` come with the names of their files, without ending."""
    parts = [
        f"# {markdown_text(question)}",
        f"**{markdown_text(sentence)}**",
        f"Endpoint: {endpoint_sentence(endpoint)}.",
    ]
    parts += [f"![{markdown_text(question)}]({name}.png)" for name in figures]
    parts += [
        f"## {name.replace('_', ' ').capitalize()}\n\n{markdown(replace(table, missing=())).rstrip()}"
        for name, table in tables
    ]
    parts.append(f"## Missing\n\n{_missing(every)}")
    if unreadable:
        parts.append(f"Runs without a {ARTIFACT}, which `sweeper sync` brings: {', '.join(unreadable)}.")
    parts.append(f"## Provenance\n\n{markdown_text(source)}\n\nRun ids and library versions: `provenance.json`.")
    return "\n\n".join(parts) + "\n"


def _differences(contrast: Table) -> str:
    found = [cell for cell in contrast.cells.values() if isinstance(cell, Difference) and cell.paired.seeds]
    if not found:
        return ""
    means = [100 * cell.paired.mean for cell in found]
    judged = [cell.paired for cell in found if cell.paired.low <= cell.paired.high]
    span = f"{means[0]:+.1f}" if len(means) == 1 else f"{min(means):+.1f} to {max(means):+.1f}"
    text = f"{found[0].contrast}: {span} points over {len(found)} comparison{'' if len(found) == 1 else 's'} by seed"
    if not judged:
        return f"{text}, none with the 3 seeds an interval needs."
    above, below = (sum(test) for test in ([pair.low > 0 for pair in judged], [pair.high < 0 for pair in judged]))
    return f"{text}; of {len(judged)} 95 % intervals (unadjusted) {above} lie above 0 and {below} below."


def _missing(every: Sequence[Cell]) -> str:
    lines = [
        f"- {markdown_text(where(cell))}: seed {miss.seed}, trial {miss.trial_id}, {markdown_text(miss.reason)}"
        for cell in every
        for miss in cell.missing
    ]
    return "\n".join(lines) if lines else "Nothing: every planned trial has a value."
