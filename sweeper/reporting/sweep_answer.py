"""The one run of a sweep in the tracking store: its question, its answer in Markdown, and the files of its report.

The numbers are those of the report, read from the journals. `sweeper.tracking` sends them.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.contract.question import FORMATS
from sweeper.errors import TrackingError
from sweeper.reporting import answers, request
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.results.survey import SurveyedSweep
from sweeper.tracking.run_contents import CellSummary, SweepAnswer
from sweeper.tracking.views import connect

if TYPE_CHECKING:
    from analysis.pages.contents import TextTable, Verdict
    from analysis.report.sweep_report import Found
    from sweeper.tracking.mlflow_tracker import MlflowTracker

PARAGRAPH = "\n\n"
ARTEFACTS = "The report, its tables and its figures are artefacts of this run once `sweeper report` has run."


def push_cells_as_answer(tracker: "MlflowTracker", part: SurveyedSweep, cells: Iterable[CellSummary]) -> None:
    """Show the question of `part` and the numbers of its `cells`, in no time. Raises TrackingError.

    Loads nothing that draws, so that the end of a run waits for nothing.
    """
    said = "\n".join(f"- {cell.run_name}: {cell.note.rpartition(PARAGRAPH)[2]}" for cell in cells)
    note = PARAGRAPH.join([f"**{part.sweep.question}**", said or "No cell has a value yet.", ARTEFACTS])
    tracker.push_answer(SweepAnswer(note=note, source=f"{part.sweep.name}.yaml"))


def push_answer(tracker: "MlflowTracker", part: SurveyedSweep, results: Results) -> None:
    """Show the answer of `part` as the journals give it, with the files of its report. Raises TrackingError."""
    from analysis.errors import AnalysisError
    from analysis.report.files import refuse_empty, write

    try:
        found = _find(part, results)
        if part.sweep.search is None:
            refuse_empty(found)
    except AnalysisError as error:
        tracker.push_answer(SweepAnswer(note=f"**{part.sweep.question}**\n\n{error}", source=f"{part.sweep.name}.yaml"))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = _contents(write(found, Path(folder)).paths)
    note = _note(part.sweep.question, found.page.sentence, found.page.verdicts, answers.first_table(found))
    tracker.push_answer(SweepAnswer(note=note, source=f"{part.sweep.name}.yaml", files=files))


def push_report(part: request.Part, made: answers.Written, results: Results, uri: str) -> str:
    """Add the answer and the files of a report to the run of its sweep; return why that failed, or an empty text.

    Leaves a results folder alone that can't be written.
    """
    if not os.access(results.root, os.W_OK):
        return ""
    note = _note(part.sweep.question, made.sentence, made.verdicts, made.table)
    answer = SweepAnswer(note=note, source=f"{part.sweep.name}.yaml", files=_contents(made.paths))
    try:
        connect(uri, part.asked.sweep, results).push_answer(answer)
    except TrackingError as error:
        return str(error)
    return ""


def _contents(paths: Iterable[Path]) -> dict[str, bytes]:
    shown = {f".{name}" for name in FORMATS if name != request.DATA}
    return {path.name: path.read_bytes() for path in paths if path.suffix in shown}


def _find(part: SurveyedSweep, results: Results) -> "Found":
    from analysis.store import Loaded

    profile = part.experiment.partition("@")[2] or None
    options = request.Options(results=results, profile=profile, mix_engines=True)
    whole = request.part_of(options, Path(f"{part.sweep.name}.yaml"), part.sweep, results.digests())
    begun = [one.spec.trial_id for one in part.standings if one.summary is not None and not one.unreadable]
    loaded = Loaded(records={trial_id: read_record(results, trial_id) for trial_id in begun}, run_ids={}, unreadable={})
    return answers.found_of(whole, loaded, "the journals")


def _note(question: str, sentence: str, verdicts: "Iterable[Verdict]", table: "TextTable | None") -> str:
    """Return question, answer, verdicts and the first table in Markdown."""
    from analysis.pages.markup import markdown_table

    said = [f"- {verdict.word}: {verdict.text}" if verdict.word else f"- {verdict.text}" for verdict in verdicts]
    tables = [] if table is None else [markdown_table(table)]
    return PARAGRAPH.join([f"**{question}**", sentence, *(["\n".join(said)] if said else []), *tables, ARTEFACTS])
