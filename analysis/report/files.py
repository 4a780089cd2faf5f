"""Writes the files of a report; no other module does. Writes are atomic, and the same report gives the same bytes."""

import json
import os
import socket
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.contract.question import FORMATS
from analysis.errors import AnalysisError
from analysis.pages.contents import TextTable, Verdict, grid
from analysis.pages.html import sweep_html
from analysis.pages.latex import latex_table
from analysis.pages.markdown import sweep_markdown
from analysis.pages.markup import csv_table, csv_text, markdown_table
from analysis.report.sweep_report import Found
from analysis.store import without_password


@dataclass(frozen=True, kw_only=True)
class Report:
    """The files written. `complete` cells have a value for every planned seed; the rest is the answer in words."""

    paths: tuple[Path, ...]
    sentence: str
    verdicts: tuple[Verdict, ...]
    complete: int
    incomplete: int


def write(found: Found, out: Path, formats: Collection[str] = FORMATS) -> Report:
    """Write the tables, figures, report.md and report.html of the `formats`, and provenance.json, into `out`.

    Figures as PGF are there only if they were asked for, so they need no format.
    """
    commits = f"commit {found.page.commit}; trained at commit {found.page.trained}"
    source = f"{found.page.command}; {commits}; {found.page.source}"
    files: dict[str, bytes] = {}
    for name, made in found.tables.items():
        files |= _table_files(name, grid(made), csv_text(made), source)
    for name, text in found.texts.items():
        files |= _table_files(name, text, csv_table(text), source)
    for name, pictures in found.pictures.items():
        files |= {f"{name}.{kind}": data for kind, data in pictures.items()}
    files["report.md"] = sweep_markdown(found.page).encode()
    files["report.html"] = sweep_html(found.page).encode()
    chosen = {name: data for name, data in files.items() if name.rpartition(".")[2] in (*formats, "pgf")}
    paths = write_whole(out, chosen | {"provenance.json": as_json(found.facts)})
    complete = sum(not cell.missing for cell in found.cells)
    return Report(
        paths=paths,
        sentence=found.page.sentence,
        verdicts=found.page.verdicts,
        complete=complete,
        incomplete=len(found.cells) - complete,
    )


def refuse_empty(found: Found) -> None:
    """Raise AnalysisError if no planned trial has a value."""
    if any(cell.values for cell in found.cells):
        return
    missing = [miss for cell in found.cells for miss in cell.missing]
    reasons = "; ".join(f"{count} {why}" for why, count in Counter(miss.reason for miss in missing).most_common(5))
    raise AnalysisError(
        f"Sweep {found.page.sweep} has no finished run in {found.facts['tracking_uri']} ({len(missing)} planned: "
        f"{reasons}); run `sweeper run` on its file, or `sweeper sync` if it has run but isn't in the store yet"
    )


def store_in_words(tracking_uri: str) -> str:
    """Return the store's URI, fit to publish: no password, and relative if it is a file below the current folder."""
    scheme, _, path = tracking_uri.partition(":///")
    if scheme == "sqlite" and Path(path).is_relative_to(Path.cwd()):
        return f"sqlite:///{Path(path).relative_to(Path.cwd())}"
    return without_password(tracking_uri)


def as_json(facts: Mapping[str, Any]) -> bytes:
    """Return `facts` as indented JSON."""
    return (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()


def write_whole(out: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write each file atomically, in order; return the paths."""
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        temporary = out / f".{name}.{socket.gethostname()}.{os.getpid()}"  # nodes share process ids
        temporary.write_bytes(data)
        temporary.replace(out / name)
    return tuple(out / name for name in files)


def _table_files(name: str, text: TextTable, csv: str, source: str) -> dict[str, bytes]:
    origin = " ".join(source.split())
    return {
        f"{name}.csv": csv.encode(),
        f"{name}.md": f"{markdown_table(text)}\n<!-- {origin.replace('--', '- -')} -->\n".encode(),
        f"{name}.tex": f"% {origin}\n{latex_table(text)}".encode(),
    }
