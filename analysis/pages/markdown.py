"""Writes pages as Markdown, and the answer of a sweep without claims. Computes no statistics."""

from collections.abc import Sequence

from analysis.numbers.tables import Cell, Difference, Table, where
from analysis.pages.contents import PaperPage, SweepPage
from analysis.pages.markup import markdown_list, markdown_section, markdown_table, markdown_text


def answer(every: Sequence[Cell], contrasts: Sequence[Table]) -> str:
    """Return the range of the means and the number of differences that exclude 0; gives no verdict."""
    read = [cell for cell in every if cell.values]
    complete = sum(not cell.missing for cell in every)
    low, high = (choose(read, key=lambda cell: cell.summary.mean) for choose in (min, max))
    sentence = f"{complete} of {len(every)} cells are complete"
    if len(read) == 1:
        sentence += f"; the mean is {low.text()} percent"
    else:
        sentence += f"; means in percent go from {low.text()} ({where(low)}) to {high.text()} ({where(high)})"
    return " ".join([f"{sentence}.", *filter(None, map(_differences, contrasts))])


def sweep_markdown(page: SweepPage, level: int = 1) -> str:
    """Return a sweep's page, in the order of its HTML; figures are the files `name`.png in the same folder."""
    below = "#" * (level + 1)
    origin = f"Rebuilds {page.paper}. " if page.paper else ""
    parts = [
        f"{'#' * level} {markdown_text(page.question)}",
        f"**{markdown_text(page.sentence)}**",
        markdown_text(f"{origin}Sweep {page.sweep}. {page.endpoint}"),
    ]
    for title, tables in (
        ("Claims", (page.claims,)),
        ("Values compared with the authors'", (page.values,)),
        ("Tables", page.tables),
    ):
        made = [markdown_table(found).rstrip() for found in tables if found is not None]
        parts += [f"{below} {title}", *made] if made else []
    if page.remarks:
        parts.append(markdown_list(page.remarks))
    if page.figures:
        parts.append(f"{below} Figures")
    for figure in page.figures:
        parts += [f"![{markdown_text(figure.alt)}]({figure.name}.png)", markdown_text(figure.caption)]
    nothing = "The configs show none." if page.paper else "This sweep rebuilds no result of the paper."
    parts += [
        markdown_section(page.protocol, level + 1).rstrip(),
        f"{below} Differences from the paper",
        markdown_list(page.differences) or nothing,
        f"{below} Missing",
        markdown_list(page.holes) or "Nothing: every planned trial has a value.",
        f"{below} Provenance",
        markdown_list(
            (
                f"commit of the report: {page.commit}",
                f"commit of the trainings: {page.trained}",
                f"command: {page.command}",
                f"source: {page.source}",
                f"runs: {_runs(page)}",
            )
        ),
    ]
    return "\n\n".join(parts) + "\n"


def paper_markdown(page: PaperPage) -> str:
    """Return the page of the whole paper: introduction, the answer of each sweep, then reproducibility."""
    parts = [f"# {markdown_text(page.title)}", *map(markdown_text, page.introduction)]
    parts += [
        f"## {markdown_text(sweep.question)}\n\n{markdown_text(sweep.sentence)}"
        + (f"\n\n{markdown_table(sweep.claims).rstrip()}" if sweep.claims is not None else "")
        for sweep in page.sweeps
    ]
    parts += ["## Reproducibility"] if page.reproducibility else []
    parts += [markdown_section(section, 3).rstrip() for section in page.reproducibility]
    parts.append(markdown_list((f"commit of the report: {page.commit}", f"command: {page.command}")))
    return "\n\n".join(parts) + "\n"


def _runs(page: SweepPage) -> str:
    return ", ".join(f"{trial_id} {run_id}" for trial_id, run_id in sorted(page.runs.items())) or "none"


def _differences(contrast: Table) -> str:
    found = [cell for cell in contrast.cells.values() if isinstance(cell, Difference) and cell.paired.seeds]
    if not found:
        return ""
    means = [100 * cell.paired.mean for cell in found]
    judged = [cell.paired for cell in found if cell.paired.low <= cell.paired.high]
    span = f"{means[0]:+.1f}" if len(means) == 1 else f"{min(means):+.1f} to {max(means):+.1f}"
    text = f"{found[0].contrast}: {span} points over {len(found)} comparison{'' if len(found) == 1 else 's'} by seed"
    if not judged:
        return f"{text}; none has the 3 seeds that an interval needs."
    plural = "" if len(judged) == 1 else "s"
    above, below = (sum(test) for test in ([pair.low > 0 for pair in judged], [pair.high < 0 for pair in judged]))
    return f"{text}; of {len(judged)} unadjusted 95 % interval{plural}, {above} above 0 and {below} below 0."
