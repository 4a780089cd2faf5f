"""Compiles tables in pages as papers have them, with the TeX of this system. Skips where there is none."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ENGINES = ("pdflatex", "lualatex", "xelatex")


class Page(NamedTuple):
    """A kind of page: the preamble's class and packages, and the float that spans the page."""

    preamble: str
    floats: str


ICML = (
    r"\usepackage[letterpaper,textwidth=6.75in,textheight=9in]{geometry}\setlength{\columnsep}{.25in}\usepackage{times}"
)
PAGES = {
    "one column": Page(r"\documentclass{article}", "table"),
    "one column, 12 pt": Page(r"\documentclass[12pt]{article}", "table"),
    "two columns": Page(r"\documentclass[twocolumn]{article}", "table*"),
    "two columns, ICML": Page(rf"\documentclass[twocolumn]{{article}}{ICML}", "table*"),
}
NEEDS = re.compile(r"^% Needs (.*) before", re.MULTILINE)
NARROW = "% Fits one column of a page of two."
FAULTS = re.compile(r"^(?:Overfull|LaTeX Warning: Float too large|!|.*Missing character).*", re.MULTILINE)


def document(page: Page, tables: Mapping[str, str]) -> str:
    """Return a document that loads what the tables say they need, with each in a float; narrow ones in a column too.

    In one column each also stands between paragraphs. A float allows 0.5 pt in excess, and here no more than text does.
    """
    needs = sorted({found for table in tables.values() for found in NEEDS.findall(table)})
    lines = [page.preamble, *(need.replace(" and ", "") for need in needs), r"\begin{document}"]
    once = r"\hfuzz=.1pt\vfuzz=.1pt"
    for name, table in tables.items():
        for floats in {page.floats, "table"} if NARROW in table else {page.floats}:
            lines += [
                rf"\begin{{{floats}}}\centering\caption{{Of one line.}}",
                rf"{once}\input{{{name}}}",
                rf"\end{{{floats}}}",
            ]
        lines.append(
            rf"\clearpage Before.\par{once}\input{{{name}}}\par After.\clearpage"
            if page.floats == "table"
            else r"\clearpage"
        )
    return "\n".join([*lines, r"\end{document}"])


def faults(folder: Path, page: Page, tables: Mapping[str, str]) -> list[str]:
    """Return every overfull box, float that is too large, missing character and error of TeX, with the table's file."""
    engine = next((found for found in map(shutil.which, ENGINES) if found), None)
    if engine is None:
        pytest.skip(f"no TeX here: none of {', '.join(ENGINES)} is on PATH")
    for name, table in tables.items():
        (folder / f"{name}.tex").write_text(table)
    (folder / "pages.tex").write_text(document(page, tables))
    options = ["-halt-on-error", "-interaction=nonstopmode", "-file-line-error"]
    subprocess.run([engine, *options, "pages.tex"], cwd=folder, capture_output=True, check=False)
    log = (folder / "pages.log").read_text(errors="replace")
    found, place = list[str](), ""
    for line in log.splitlines():
        place = next((name for name in tables if f"({name}.tex" in line or f"(./{name}.tex" in line), place)
        if FAULTS.match(line) or re.match(r"\S+\.tex:\d+: ", line):
            found.append(f"{place}: {line}")
    if not (folder / "pages.pdf").exists() and not found:
        found.append(log[-2000:])
    return found
