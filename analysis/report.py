"""One sweep's report: plan joined with the tracking store on trial id, written as tables, figures and two pages.

The only module that puts the others together and the only one that writes files. The same plan and store give the
same bytes.
"""

import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.endpoint import endpoint_sentence, endpoint_values
from analysis.errors import AnalysisError
from analysis.figures import draw_inner_steps, inner_steps_info
from analysis.load import QUERY, load, without_password
from analysis.markup import csv_text, latex, markdown
from analysis.page import answer, page
from analysis.style import encode
from analysis.tables import Table, cells, contrast, table
from analysis.tidy import axis_column
from sweeper.schema import ARTIFACT, SCHEMA_VERSION, Endpoint, FigureSpec, PlannedTrial, TableSpec

LIBRARIES = ("matplotlib", "mlflow", "numpy", "pandas", "scipy", "seaborn")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written. `complete` cells have a value for every planned seed; `sentence` is the answer in words."""

    paths: tuple[Path, ...]
    sentence: str
    complete: int
    incomplete: int


def build(
    *,
    plan: Sequence[PlannedTrial],
    axes: Sequence[str],
    sweep: str,
    question: str,
    endpoint: Endpoint,
    tables: Sequence[TableSpec],
    figures: Sequence[FigureSpec],
    tracking_uri: str,
    out: Path,
    command: str,
    commit: str,
) -> Report:
    """Write table_N.csv|md|tex, contrast_N.*, figure_N.png|pdf, report.md and provenance.json into `out`.

    `command` and `commit` go into every artefact. Raises AnalysisError, and writes nothing, if the store can't be
    read or no planned trial has a value.
    """
    loaded = load(tracking_uri, {trial.trial_id for trial in plan})
    values = endpoint_values(plan, loaded.records, endpoint)
    unread = values["trial_id"].isin(loaded.unreadable.values()) & ~values["trial_id"].isin(loaded.records)
    values.loc[unread, "reason"] = f"tracked without its {ARTIFACT}"
    _refuse_empty(values, sweep, tracking_uri)
    every = list(cells(values, axes, axes).values())
    caption = f"{endpoint_sentence(endpoint)}."
    made = [table(values, axes, spec, caption, endpoint.window) for spec in tables]
    contrasts = _contrasts(values, axes, tables, figures)
    named = [(f"table_{number}", found) for number, found in enumerate(made, 1)]
    named += [(f"contrast_{number}", found) for number, found in enumerate(contrasts, 1)]
    sentence = answer(every, contrasts)
    source = f"sweep {sweep}; {len(loaded.run_ids)} runs; commit {commit}; {command}; {QUERY}"

    files = _tables(named, source)
    for number, spec in enumerate(figures, 1):
        figure = draw_inner_steps(inner_steps_info(values, axes, spec, question, endpoint))
        files |= {f"figure_{number}.{kind}": data for kind, data in encode(figure, source).items()}
    text = page(
        question=question,
        sentence=sentence,
        endpoint=endpoint,
        tables=named,
        figures=[f"figure_{number}" for number in range(1, len(figures) + 1)],
        every=every,
        unreadable=list(loaded.unreadable),
        source=source,
    )
    files["report.md"] = text.encode()
    facts = {
        "schema": SCHEMA_VERSION,
        "sweep": sweep,
        "question": question,
        "endpoint": asdict(endpoint),
        "command": command,
        "commit": commit,
        "tracking_uri": _store(tracking_uri),
        "query": QUERY,
        "runs": dict(sorted(loaded.run_ids.items())),
        "missing": [miss._asdict() | {"at": cell.at} for cell in every for miss in cell.missing],
    }
    files["provenance.json"] = _json(facts | {"libraries": _libraries()})
    complete = sum(not cell.missing for cell in every)
    return Report(paths=_write(out, files), sentence=sentence, complete=complete, incomplete=len(every) - complete)


def _refuse_empty(values: pd.DataFrame, sweep: str, tracking_uri: str) -> None:
    if (values["reason"] == "").any():
        return
    reasons = "; ".join(f"{count} {reason}" for reason, count in Counter(values["reason"]).most_common(5))
    raise AnalysisError(
        f"Sweep {sweep} has no finished run in {without_password(tracking_uri)} ({len(values)} planned: {reasons}); "
        "run `sweeper run` on its file, or `sweeper sync` if it has run and the store doesn't know yet"
    )


def _contrasts(
    values: pd.DataFrame, axes: Sequence[str], tables: Sequence[TableSpec], figures: Sequence[FigureSpec]
) -> list[Table]:
    """Return, for every table, the paired differences along each hue axis of two values that it shows."""
    hues = dict.fromkeys(spec.hue for spec in figures if spec.hue is not None)
    pairs = [axis for axis in hues if len(values[axis_column(axis)].cat.categories) == 2]
    made = []
    for spec in tables:
        for axis in pairs:
            if axis in spec.rows:
                made.append(contrast(values, axes, spec, axis))
            elif axis == spec.columns and spec.rows:
                turned = TableSpec(rows=(axis, *spec.rows[:-1]), columns=spec.rows[-1])
                made.append(contrast(values, axes, turned, axis))
    return made


def _tables(named: Sequence[tuple[str, Table]], source: str) -> dict[str, bytes]:
    files = {}
    for name, found in named:
        files[f"{name}.csv"] = csv_text(found).encode()
        files[f"{name}.md"] = f"{markdown(found)}\n<!-- {' '.join(source.replace('--', '- -').split())} -->\n".encode()
        files[f"{name}.tex"] = f"% {' '.join(source.split())}\n{latex(found)}".encode()
    return files


def _store(tracking_uri: str) -> str:
    """Return the store's URI without password, and relative if it is a file below this folder: fit to be published."""
    scheme, _, path = tracking_uri.partition(":///")
    if scheme == "sqlite" and Path(path).is_relative_to(Path.cwd()):
        return f"sqlite:///{Path(path).relative_to(Path.cwd())}"
    return without_password(tracking_uri)


def _libraries() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def _json(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()


def _write(out: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write each file whole or not at all; report.md, which names the others, comes last but for provenance."""
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        temporary = out / f".{name}.{os.getpid()}"
        temporary.write_bytes(data)
        temporary.replace(out / name)
    return tuple(out / name for name in files)
