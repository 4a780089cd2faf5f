"""Writes pages as Markdown. Computes no statistics."""

from collections.abc import Sequence

from analysis.pages.contents import PaperPage, SweepPage, TextTable, Verdict, by_plan
from analysis.pages.markup import markdown_list, markdown_section, markdown_table, markdown_text


def sweep_markdown(page: SweepPage, level: int = 1) -> str:
    """Return a sweep's page, in the order of its HTML. Figures are files `name`.png with captions inside."""
    below = "#" * (level + 1)
    origin = f"Rebuilds {page.paper}. " if page.paper else ""
    parts = [
        f"{'#' * level} {markdown_text(page.question)}",
        f"**{markdown_text(page.sentence)}**",
        *_verdicts(page.verdicts),
        markdown_text(f"{origin}Sweep {page.sweep}. Endpoint: {page.endpoint}"),
    ]
    claims = by_plan(page.claims)
    parts += [f"{below} Figures"] if page.figures else []
    for figure in page.figures:
        parts.append(f"![{markdown_text(figure.alt)}]({figure.name}.png)")
    parts += _titled(f"{below} Tables", page.tables) + _titled(f"{below} Claims", (claims.planned,))
    parts += [f"{below} Missing", markdown_list(page.holes)] if page.holes else []
    parts += [f"{below} Remarks", markdown_list(page.remarks)] if page.remarks else []
    parts += _titled(f"{below} Compared with the authors", (page.values, page.drawn))
    parts += _titled(f"{below} Claims not planned here", (claims.unplanned,))
    parts += [
        markdown_section(page.protocol, level + 1).rstrip(),
        *_differences(page, f"{below} Differences from the paper"),
        f"{below} Provenance",
        markdown_list(
            (
                *(() if page.holes else ("missing: nothing, every planned trial has a value",)),
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
        "\n\n".join(
            [
                f"## {markdown_text(sweep.question)}",
                markdown_text(sweep.sentence),
                *_verdicts(sweep.verdicts),
                *([markdown_table(sweep.claims).rstrip()] if sweep.claims is not None else []),
            ]
        )
        for sweep in page.sweeps
    ]
    parts += ["## Reproducibility"] if page.reproducibility else []
    parts += [markdown_section(section, 3).rstrip() for section in page.reproducibility]
    parts.append(markdown_list((f"commit of the report: {page.commit}", f"command: {page.command}")))
    return "\n\n".join(parts) + "\n"


def _differences(page: SweepPage, title: str) -> list[str]:
    if page.differences is None:
        return []
    nothing = "The configs show none." if page.paper else "This sweep rebuilds no result of the paper."
    return [title, markdown_list(page.differences) or nothing]


def _titled(title: str, tables: Sequence[TextTable | None]) -> list[str]:
    made = [markdown_table(found).rstrip() for found in tables if found is not None]
    return [title, *made] if made else []


def _verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    lines = [f"- {f'**{markdown_text(word)}**: ' if word else ''}{markdown_text(text)}" for word, text in verdicts]
    return ["\n".join(lines)] if lines else []


def _runs(page: SweepPage) -> str:
    return ", ".join(f"{trial_id} {run_id}" for trial_id, run_id in sorted(page.runs.items())) or "none"
