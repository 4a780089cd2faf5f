"""A hook of MkDocs: one table of every claim of the paper, from the reports in sweeps/evidence.

A page asks for it by a line of its own, `<!-- claims -->`. Joins reports by sweep and claim; judges nothing.
"""

import csv
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

EVIDENCE = Path(__file__).parents[2] / "sweeps" / "evidence"
MARKER = "<!-- claims -->"
_EFFECT = re.compile(r"^'?(?P<value>[^(;]+) \(n = (?P<n>\d+)")
_STEPS = re.compile(r"^\| outer_steps \| (?P<steps>[\d,]+) \|", re.MULTILINE)
_THEIRS = re.compile(r"authors: (?P<effect>[^;]+)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the table in the place of its marker."""
    return markdown.replace(MARKER, claims_table(EVIDENCE)) if MARKER in markdown else markdown


def claims_table(evidence: Path) -> str:
    """Return a row for each claim: its source, our verdict, and that on the authors' own seeds at full length."""
    ours = _ours(evidence)
    lines = ["| claim | source | ours | authors, as many steps | authors, full length |", "|---|---|---|---|---|"]
    for row in _rows(evidence / "authors" / "claims.csv"):
        found = ours.get((row["sweep"], row["claim"]))
        mine, same = ("not run", "") if found is None else found
        theirs = f"{row['verdict']}, {_effect(row['numbers'])}".removesuffix(", ")
        lines.append(f"| {_text(row['claim'])} | {_text(row['source'])} | {mine} | {same} | {_text(theirs)} |")
    return "\n".join(lines)


def _ours(evidence: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what our reports say of each claim that they judge, and the authors' effect after as many steps.

    The reports with the most outer steps count. All of them are named, whatever profile and machine they are of.
    """
    said: dict[tuple[str, str], list[tuple[int, str, str]]] = {}
    for folder in sorted(path.parent for path in evidence.glob("*-*/claims.csv")):
        sweep, _, name = folder.name.rpartition("-")
        steps = _steps(folder)
        link = f"{steps:,} outer steps, [{sweep} @ {name}](../sweeps/evidence/{folder.name}/report.md)"
        for row in _rows(folder / "claims.csv"):
            if effect := _effect(row["numbers"].partition("authors:")[0]):
                same = _THEIRS.search(row["numbers"])
                verdict = f"{_text(row['verdict'])}, {_text(effect)}, {link}"
                entry = (steps, verdict, _text(same["effect"]) if same else "")
                said.setdefault((sweep, row["claim"]), []).append(entry)
    return {key: _longest(entries) for key, entries in said.items()}


def _longest(entries: list[tuple[int, str, str]]) -> tuple[str, str]:
    """Return the verdicts after the most outer steps, joined, and the authors' effect there."""
    most = max(steps for steps, _, _ in entries)
    longest = [(verdict, theirs) for steps, verdict, theirs in entries if steps == most]
    return "; ".join(verdict for verdict, _ in longest), longest[-1][1]


def _steps(folder: Path) -> int:
    """Return how many outer steps the trials of a report have."""
    steps = _STEPS.search((folder / "report.md").read_text(encoding="utf-8"))
    if steps is None:
        raise ValueError(f"{folder / 'report.md'}: no row `outer_steps`, which its claims.csv needs")
    return int(steps["steps"].replace(",", ""))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _effect(numbers: str) -> str:
    """Return the effect with its number of seeds, empty where there is none."""
    found = _EFFECT.match(numbers)
    return f"{found['value']} (n = {found['n']})" if found else ""


def _text(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")
