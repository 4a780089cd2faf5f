"""Answers a request for a report: reads the evidence, has `analysis` compute the contents, and writes the files.

Prints nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.contract.question import FORMATS
from sweeper.errors import SweepError
from sweeper.reporting import raw_folder
from sweeper.reporting.request import DATA, Options, Part, Request
from sweeper.reporting.searches import searches_found
from sweeper.results.paths import ResultsError
from sweeper.search.journal import lines_of
from sweeper.search.state import Line
from sweeper.sweepfile.sweep import Sweep
from sweeper.tracking.turns import turns_of, wait_for_pusher

if TYPE_CHECKING:
    from analysis.pages.contents import TextTable, Verdict
    from analysis.paper.published import Published
    from analysis.report.sweep_report import Asked, Found
    from analysis.store import Loaded

DRAWN = frozenset(("png", "pdf", "svg", "html"))


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written for one sweep: the answer, the first table, counts of cells, and the files."""

    sweep: str
    sentence: str
    verdicts: "tuple[Verdict, ...]"
    table: "TextTable | None"
    complete: int
    incomplete: int
    paths: tuple[Path, ...]


def write(request: Request, say: Callable[[str], None]) -> Iterator[Written | Path]:
    """Write the report and yield each sweep as it is written, then the files of the page of all.

    Waits for a process that brings the tracking store up to date, and announces the wait with `say`. Raises SweepError
    if the store or the authors' file can't be read, or if nothing has run; ResultsError if `out` can't be written.
    """
    from analysis.report.all_sweeps import write_paper

    formats, every = request.options.formats or FORMATS, request.options.every
    answers = read(request, say)
    for part, (found, loaded) in zip(request.parts, answers, strict=True):
        with _explained(request.out):
            written = _write_sweep(part, found, loaded, request, formats)
        yield written
    if every:
        records = None if request.options.authors is not None else answers[0][1].records
        found_of = [(part.asked, found) for part, (found, _) in zip(request.parts, answers, strict=True)]
        authors = request.options.authors
        command = f"sweeper report --all{f' --compare-authors {authors.name}' if authors is not None else ''}"
        with _explained(request.out):
            paths = write_paper(found_of, records, request.out, command, formats)
        yield from paths


def read(request: Request, say: Callable[[str], None]) -> "list[tuple[Found, Loaded]]":
    """Return the contents of each sweep's report and the records that they come from. Writes nothing.

    Waits and raises as `write` does, and names each damaged record with `say`.
    """
    if request.uri is not None:
        for part in request.parts:
            wait_for_pusher(turns_of(request.options.results, part.asked.sweep, request.uri), say)
    with _explained(request.out):
        answers = list(_answers(request))
    for damaged in answers[0][1].damaged.values():
        say(damaged)
    return answers


def _answers(request: Request) -> "Iterator[tuple[Found, Loaded]]":
    """Yield the evidence for each sweep. The store is read once for all; the authors' file replaces it.

    The authors' runs are read up to the sweep's own number of outer steps.
    """
    from analysis.report.sweep_report import find

    formats = request.options.formats
    drawn = not formats or request.options.printed or not DRAWN.isdisjoint(formats)
    if request.uri is not None:
        from analysis.report.files import store_in_words
        from analysis.store import load as load_runs

        wanted = {trial.trial_id for part in request.parts for trial in part.asked.plan}
        loaded = load_runs(request.uri, wanted, request.options.results.artifacts)
        store = store_in_words(request.uri)
        for part in request.parts:
            yield found_of(part, loaded, store, figures=drawn), loaded
    elif request.loaded is not None and request.options.data is not None:
        loaded = request.loaded
        for part in request.parts:
            yield found_of(part, loaded, f"raw data, {request.options.data.name}", figures=drawn), loaded
    elif request.options.authors is not None:
        from analysis.paper.authors.records import as_records
        from analysis.store import Loaded

        authors = request.options.authors
        for sweep, _, asked, _ in request.parts:
            runs = as_records(authors, sweep.name, asked.axes, max(trial.target for trial in asked.plan))
            loaded = Loaded(records=runs.records, run_ids={}, unreadable={})
            source = f"the authors' raw results, {authors.name}"
            yield find(replace(asked, plan=runs.plan), loaded, None, source, figures=drawn), loaded


def found_of(part: Part, loaded: "Loaded", source: str, *, figures: bool = True) -> "Found":
    """Return the contents of the report of one sweep; of a searched one, with what its journals say."""
    sweep, _, asked, searches = part
    if sweep.search is None:
        from analysis.report.sweep_report import find

        return find(asked, loaded, published_for(sweep, asked), source, figures=figures)
    from analysis.report.search_report import find_searched

    return find_searched(asked, searches_found(searches, importance=figures), loaded, source, figures=figures)


def published_for(sweep: Sweep, asked: "Asked") -> "Published | None":
    """Return the authors' numbers for a sweep of the paper's trainer, by its name; None for another trainer."""
    from analysis.paper.deviations import TRAINER
    from analysis.paper.published import load as published

    return published(sweep.name) if all(trial.trainer == TRAINER for trial in asked.plan) else None


def _write_sweep(part: Part, found: "Found", loaded: "Loaded", request: Request, formats: Sequence[str]) -> Written:
    from analysis.raw_data import files as raw_files
    from analysis.report.files import refuse_empty, write, write_whole

    every = request.options.every
    if not every and part.sweep.search is None:
        refuse_empty(found)
    out = request.out / found.page.sweep if every else request.out
    made = write(found, out, formats)
    paths = made.paths
    if DATA in formats:
        question = raw_folder.question_files(part.sweep, part.profile, request.options.only)
        question |= raw_folder.journal_files(_journals(part, request.options))
        paths += write_whole(out, {**raw_files(part.asked.plan, loaded), **question})
    return Written(
        sweep=found.page.sweep,
        sentence=made.sentence,
        verdicts=made.verdicts,
        table=first_table(found),
        complete=made.complete,
        incomplete=made.incomplete,
        paths=paths,
    )


def _journals(part: Part, options: Options) -> dict[str, list[Line]]:
    """Return the lines of the journals of a sweep's searches, by their ids; none for a grid."""
    ids = [one.search.search_id for one in part.searches]
    if options.data is not None:
        found = raw_folder.journals(options.data) if ids else {}
        return {search_id: found[search_id] for search_id in ids if search_id in found}
    return {search_id: list(lines_of(options.results.search(search_id))) for search_id in ids}


def first_table(found: "Found") -> "TextTable | None":
    """Return the table that a terminal shows of a report, None if there is none."""
    from analysis.pages.contents import grid

    first = found.tables.get("table_1")
    if first is None:
        return found.texts.get("confirmed") or found.texts.get("found")
    return grid(replace(first, missing=()))


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn errors of analysis and of the file system into errors for the user."""
    from analysis.errors import AnalysisError

    try:
        yield
    except AnalysisError as error:
        raise SweepError(str(error)) from None
    except OSError as error:
        raise ResultsError(
            f"{out}: the report can't be written ({error.strerror}); name another folder with --out"
        ) from None
