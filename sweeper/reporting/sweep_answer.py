"""The one run of a sweep in the tracking store: its question, its answer in Markdown, and the files of its report.

The numbers are those of the report, read from the journals. `sweeper.tracking` sends them.
"""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.contract.question import FORMATS
from sweeper.errors import TrackingError
from sweeper.reporting import request
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.results.survey import SurveyedSweep
from sweeper.tracking.run_contents import SweepAnswer
from sweeper.tracking.views import connect

if TYPE_CHECKING:
    from analysis.report.sweep_report import Found
    from sweeper.tracking.mlflow_tracker import MlflowTracker


def push_answer(tracker: "MlflowTracker", part: SurveyedSweep, results: Results, *, whole: bool) -> None:
    """Show the answer of `part` as the journals give it; if `whole`, with the files of its report.

    Raises TrackingError.
    """
    from analysis.errors import AnalysisError
    from analysis.report.files import refuse_empty, write

    try:
        found = _find(part, results, figures=whole)
        refuse_empty(found)
    except AnalysisError as error:
        tracker.push_answer(SweepAnswer(note=f"**{part.sweep.question}**\n\n{error}", source=f"{part.sweep.name}.yaml"))
        return
    files = {}
    if whole:
        with tempfile.TemporaryDirectory() as folder:
            files = _contents(write(found, Path(folder)).paths)
    tracker.push_answer(SweepAnswer(note=_note(found), source=f"{part.sweep.name}.yaml", files=files))


def push_report(part: request.Part, paths: Iterable[Path], results: Results, uri: str) -> str:
    """Add the files of a report to the run of its sweep; return why that can't be done, empty if it was done.

    Leaves a results folder alone that can't be written.
    """
    if not os.access(results.root, os.W_OK):
        return ""
    try:
        connect(uri, part.asked.sweep, results).push_answer(
            SweepAnswer(note="", source=f"{part.sweep.name}.yaml", files=_contents(paths))
        )
    except TrackingError as error:
        return str(error)
    return ""


def _contents(paths: Iterable[Path]) -> dict[str, bytes]:
    shown = {f".{name}" for name in FORMATS if name != request.RAW}
    return {path.name: path.read_bytes() for path in paths if path.suffix in shown}


def _find(part: SurveyedSweep, results: Results, *, figures: bool) -> "Found":
    from analysis.paper.published import load as published
    from analysis.report.sweep_report import find
    from analysis.store import Loaded

    options = request.Options(
        files=(),
        profile=part.experiment.partition("@")[2] or None,
        results=results,
        tracking_uri=None,
        only=(),
        every=False,
        raw=None,
        data=None,
        formats=(),
        out=None,
        mix_engines=True,
    )
    asked = request.part_of(options, Path(f"{part.sweep.name}.yaml"), part.sweep, results.digests()).asked
    begun = [one.spec.trial_id for one in part.standings if one.summary is not None and not one.unreadable]
    loaded = Loaded(records={trial_id: read_record(results, trial_id) for trial_id in begun}, run_ids={}, unreadable={})
    return find(asked, loaded, published(part.sweep.name), "the journals", figures=figures)


def _note(found: "Found") -> str:
    """Return question, answer, verdicts and the first table in Markdown."""
    from analysis.pages.contents import grid
    from analysis.pages.markup import markdown_table

    page = found.page
    parts = [f"**{page.question}**", page.sentence]
    if page.verdicts:
        said = (f"{verdict.word}: {verdict.text}" if verdict.word else verdict.text for verdict in page.verdicts)
        parts.append("\n".join(f"- {one}" for one in said))
    if (first := found.tables.get("table_1")) is not None:
        parts.append(markdown_table(grid(replace(first, missing=()))))
    parts.append("The report, its tables and its figures are artefacts of this run once `sweeper report` has run.")
    return "\n\n".join(parts)
