"""`sweeper report`: the plan joined with the tracking store, written as a paper's tables, figures and pages."""

import shlex
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.contract.question import FORMATS
from sweeper.cli.options import only_option, profile_option, results_option, tracking_option, with_errors_shown
from sweeper.cli.outcome import say
from sweeper.errors import SweepError
from sweeper.host.provenance import commit
from sweeper.planning.expand import expand, paper_configs
from sweeper.planning.selectors import select
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results, ResultsError
from sweeper.results.survey import experiment_name
from sweeper.sweepfile.sweep import Sweep, load
from sweeper.tracking.address import resolve_uri
from sweeper.tracking.turns import places, wait_for_pusher

if TYPE_CHECKING:
    from analysis.report.sweep_report import Asked, Found
    from analysis.store import Loaded

SWEEPS = Path("sweeps")
DRAWN = frozenset(("png", "pdf", "svg", "html"))
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE...]", type=_FILE)
@profile_option
@results_option
@tracking_option
@only_option
@click.option("--all", "every", is_flag=True, help="Every FILE (none given: sweeps/*.yaml), and one page of all.")
@click.option("--compare-authors", "raw", metavar="CSV", type=_FILE, help="Put the authors' raw results for our runs.")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Write these [default: all].")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: RESULTS/reports/NAME].")
@with_errors_shown
def report(
    files: tuple[Path, ...],
    profile: str | None,
    results: Path,
    tracking_uri: str | None,
    only: tuple[str, ...],
    every: bool,
    raw: Path | None,
    formats: tuple[str, ...],
    out: Path | None,
) -> None:  # fmt: skip
    """Write tables, figures and pages of sweep FILE; what is missing is named, and nothing is averaged over it.

    Opens with the answer to the sweep's question, and sets the authors' numbers beside ours where there are any. Waits
    for a process that is bringing the tracking store up to date with this results folder.

    \b
    Example:
      sweeper report sweeps/zeroing_vs_steps.yaml --profile cpu --out report
      sweeper report --all
    """
    files = files or (tuple(sorted(SWEEPS.glob("*.yaml"))) if every else ())
    if not files or (len(files) > 1 and not every):
        raise SweepError("several files make one report with --all" if files else "name a sweep FILE, or --all")
    sweeps, folder = [load(file) for file in files], Results.at(results)
    if raw is not None and every:
        files, sweeps = _with_authors(files, sweeps)
    profiles = [profile if not every or profile in sweep.profiles else None for sweep in sweeps]
    uri = None if raw is not None else resolve_uri(tracking_uri, folder.root)
    if uri is None and raw is None:
        raise SweepError(
            "--tracking-uri none: a report reads a tracking store; run `sweeper sync FILE`, then report it"
        )
    asked = []
    for file, sweep, chosen in zip(files, sweeps, profiles, strict=True):
        name = experiment_name(sweep, chosen)
        if uri is not None:
            wait_for_pusher(places(folder, name, uri), say)
        specs = select(expand(sweep, chosen, folder.digests()), only, "--only")
        asked.append(_asked(sweep, name, specs, _command(file, chosen, only, raw)))
    place = out or folder.report("all" if every else asked[0].sweep)
    with _explained(place):
        drawn = not formats or not DRAWN.isdisjoint(formats)
        found = _of_authors(asked, sweeps, raw, drawn) if raw is not None else _of_store(asked, sweeps, uri, drawn)
        _write(asked, found, place, formats or FORMATS, every, raw)


def _asked(sweep: Sweep, name: str, specs: Sequence[TrialSpec], command: str) -> "Asked":
    from analysis.report.sweep_report import Asked

    papers = paper_configs(sweep) if sweep.paper else {}
    sha, dirty = commit()
    return Asked(
        plan=[spec.planned(papers.get(tuple(spec.labels.values()))) for spec in specs],
        axes=[axis.name for axis in sweep.axes],
        sweep=name,
        question=sweep.question,
        paper=sweep.paper or "",
        endpoint=sweep.endpoint,
        claims=sweep.claims,
        tables=sweep.tables,
        figures=sweep.figures,
        command=command,
        commit=f"{sha}{' with changes' if dirty else ''}",
    )


def _command(file: Path, profile: str | None, only: Sequence[str], raw: Path | None) -> str:
    words = ["sweeper", "report", str(file), *(["--profile", profile] if profile else [])]
    words += [word for selector in only for word in ("--only", selector)]
    words += ["--compare-authors", raw.name] if raw is not None else []
    return shlex.join(words)


def _of_store(asked: "Sequence[Asked]", sweeps: Sequence[Sweep], uri: str, drawn: bool) -> "list[tuple[Found, Loaded]]":
    """Return what the store says to each question; it is read once."""
    from analysis.paper.published import load as published
    from analysis.report.files import store_in_words
    from analysis.report.sweep_report import find
    from analysis.store import load as load_runs

    loaded = load_runs(uri, {trial.trial_id for one in asked for trial in one.plan})
    store = store_in_words(uri)
    return [
        (find(one, loaded, published(sweep.name), store, figures=drawn), loaded)
        for one, sweep in zip(asked, sweeps, strict=True)
    ]


def _with_authors(files: Sequence[Path], sweeps: Sequence[Sweep]) -> tuple[tuple[Path, ...], list[Sweep]]:
    """Return the files, and their sweeps, of which the authors have runs; say which are left out."""
    from analysis.paper.authors.families import AXES

    kept = [(file, sweep) for file, sweep in zip(files, sweeps, strict=True) if sweep.name in AXES]
    without = [sweep.name for sweep in sweeps if sweep.name not in AXES]
    if without:
        say(f"left out, since the authors have no runs of them: {', '.join(without)}")
    return tuple(file for file, _ in kept), [sweep for _, sweep in kept]


def _of_authors(
    asked: "Sequence[Asked]", sweeps: Sequence[Sweep], raw: Path, drawn: bool
) -> "list[tuple[Found, Loaded]]":
    """Return what the authors' stored runs say to each question, up to the sweep's own length."""
    from analysis.paper.authors.records import as_records
    from analysis.report.sweep_report import find
    from analysis.store import Loaded

    source, found = f"the authors' raw results, {raw.name}", []
    for one, sweep in zip(asked, sweeps, strict=True):
        runs = as_records(raw, sweep.name, one.axes, max(trial.target for trial in one.plan))
        loaded = Loaded(records=runs.records, run_ids={}, unreadable={})
        found.append((find(replace(one, plan=runs.plan), loaded, None, source, figures=drawn), loaded))
    return found


def _write(
    asked: "Sequence[Asked]",
    answers: "Sequence[tuple[Found, Loaded]]",
    out: Path,
    formats: Collection[str],
    every: bool,
    raw: Path | None,
) -> None:
    from analysis.report.all_sweeps import write_paper
    from analysis.report.files import refuse_empty, write

    for found, _ in answers:
        if not every:
            refuse_empty(found)
        made = write(found, out / found.page.sweep if every else out, formats)
        print(f"{found.page.sweep}: {made.sentence}" if every else made.sentence, file=sys.stderr)
        print(f"{made.complete} cells complete, {made.incomplete} with missing seeds", file=sys.stderr)
        for path in made.paths:
            click.echo(path)
    if every:
        records = None if raw is not None else answers[0][1].records
        found_of = [(one, found) for one, (found, _) in zip(asked, answers, strict=True)]
        command = f"sweeper report --all{f' --compare-authors {raw.name}' if raw is not None else ''}"
        for path in write_paper(found_of, records, out, command, formats):
            click.echo(path)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    """Turn what analysis and the file system complain of into errors for the user."""
    from analysis.errors import AnalysisError

    try:
        yield
    except AnalysisError as error:
        raise SweepError(str(error)) from None
    except OSError as error:
        raise ResultsError(
            f"{place}: the report can't be written ({error.strerror}); name another folder with --out"
        ) from None
