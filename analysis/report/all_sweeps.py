"""The page of the whole paper: every sweep's page, all claims in one table, and how to reproduce them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from analysis.contract.question import FORMATS
from analysis.contract.record import TrialRecord
from analysis.pages.contents import PaperPage
from analysis.pages.html import all_claims, paper_html
from analysis.pages.latex import latex_table
from analysis.pages.markdown import paper_markdown
from analysis.pages.markup import csv_table
from analysis.pages.reproducibility import SweepEvidence, reproducibility
from analysis.paper.deviations import TRAINER
from analysis.report.files import as_json, write_whole
from analysis.report.sweep_report import Asked, Found, libraries

TITLE = "All sweeps, their claims, and how to reproduce them"
WHOSE = "These runs are not ours: they are the authors' stored results, analysed in the same way."

BESIDE = " Whether a value agrees with the authors' value is a separate question with its own verdict."


def write_paper(
    every: Sequence[tuple[Asked, Found]],
    records: Mapping[str, TrialRecord] | None,
    out: Path,
    command: str,
    formats: Collection[str] = FORMATS,
) -> tuple[Path, ...]:
    """Write paper.html, paper.md and the claims of all sweeps into `out`; return the paths.

    `records` are those of our runs, for the sections on reproducibility; None if the runs aren't ours.
    """
    ran = [found for _, found in every if any(cell.values for cell in found.cells)]
    names = ", ".join(found.page.sweep for found in ran) or "none"
    of_paper = any(all(trial.trainer == TRAINER for trial in asked.plan) for asked, _ in every)
    page = PaperPage(
        title=TITLE,
        introduction=(
            f"{len(every)} sweeps. Sweeps with values: {names}." if records is not None else WHOSE,
            f"A claim's verdict is about the contrast that its sweep declares.{BESIDE if of_paper else ''}",
        ),
        sweeps=tuple(found.page for _, found in every),
        reproducibility=reproducibility(_evidence(every), records, libraries()) if records is not None else (),
        commit=every[0][0].commit,
        command=command,
    )
    claims = all_claims(page.sweeps)
    files = {"paper.html": paper_html(page).encode(), "paper.md": paper_markdown(page).encode()}
    if claims is not None:
        files |= {"claims.csv": csv_table(claims).encode(), "claims.tex": latex_table(claims).encode()}
    chosen = {name: data for name, data in files.items() if name.rpartition(".")[2] in formats}
    facts = {"command": command, "commit": page.commit, "sweeps": {found.page.sweep: found.facts for _, found in every}}
    return write_whole(out, chosen | {"paper.json": as_json(facts)})


def _evidence(every: Sequence[tuple[Asked, Found]]) -> list[SweepEvidence]:
    return [
        SweepEvidence(
            sweep=asked.sweep,
            plan=asked.plan,
            paper=asked.paper,
            cells=found.cells,
            why_not_run=""
            if any(cell.values for cell in found.cells)
            else "no trial of this sweep has a value in this store",
        )
        for asked, found in every
    ]
