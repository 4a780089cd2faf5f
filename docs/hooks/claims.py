"""A hook of MkDocs: one table of every claim of the paper, from the reports in sweeps/evidence.

A page asks for it by a line of its own, `<!-- claims -->`. Joins reports by sweep and claim; judges nothing.
"""

import csv
import json
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

    Of several profiles the last counts, which is the longest. All reports of that profile are named, whatever machine
    they are of.
    """
    said: dict[tuple[str, str], dict[str, list[str]]] = {}
    theirs = {}
    for folder in sorted(evidence.glob("*-*")):
        if (folder / "claims.csv").exists():
            sweep, _, name = folder.name.rpartition("-")
            link = f"{_length(folder)}[{sweep} @ {name}](../sweeps/evidence/{folder.name}/report.md)"
            for row in _rows(folder / "claims.csv"):
                if effect := _effect(row["numbers"].partition("authors:")[0]):
                    key, same = (sweep, row["claim"]), _THEIRS.search(row["numbers"])
                    verdict = f"{_text(row['verdict'])}, {_text(effect)}, {link}"
                    said.setdefault(key, {}).setdefault(_profile(folder) or name, []).append(verdict)
                    theirs[key] = _text(same["effect"]) if same else ""
    return {key: ("; ".join([*profiles.values()][-1]), theirs[key]) for key, profiles in said.items()}


def _profile(folder: Path) -> str:
    """Return the profile that the raw data in `folder` has, "" without raw data."""
    question = folder / "question.json"
    return json.loads(question.read_text(encoding="utf-8"))["profile"] if question.exists() else ""


def _length(folder: Path) -> str:
    """Return how many outer steps the trials of a report have, for before its link; "" if not all have as many."""
    steps = _STEPS.search((folder / "report.md").read_text(encoding="utf-8"))
    return f"{steps['steps']} outer steps, " if steps else ""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _effect(numbers: str) -> str:
    """Return the effect with its number of seeds, empty where there is none."""
    found = _EFFECT.match(numbers)
    return f"{found['value']} (n = {found['n']})" if found else ""


def _text(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")
