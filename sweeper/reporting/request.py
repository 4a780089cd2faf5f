"""One request for a report, understood: its sweeps, its question of each, its store and its formats.

Reads sweep files and plans; `answers` reads the evidence and writes the report. Parses no command line.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sweeper.errors import SweepError
from sweeper.host.provenance import commit
from sweeper.planning.expand import paper_configs
from sweeper.planning.search_selectors import select_searches
from sweeper.planning.selectors import select
from sweeper.reporting import raw_folder
from sweeper.results.known_trainers import sweep_in
from sweeper.results.paths import Results
from sweeper.results.survey import experiment_name
from sweeper.search.trials import KnownSearch, known_searches, planned, trials_of
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.tries import words_of as set_words
from sweeper.tracking.address import resolve_uri
from trainers.regular_file import require_regular

if TYPE_CHECKING:
    from analysis.report.sweep_report import Asked
    from analysis.store import Loaded

SWEEPS = Path("sweeps")
DATA = "data"
"""The format of raw data. It is written only if it is asked for, since it may be large."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asks for.

    Instead of a tracking store, a report reads `authors`, a CSV file with the authors' results, or `data`, a folder
    with raw data; without files, its own sweep file is reported. `every` adds a page of all `files`; without files, it
    takes sweeps/*.yaml. Without `formats`, all of FORMATS are written. If `mix_engines`, a cell may have trials of two
    engines. If `printed`, each figure is also drawn for a paper.
    """

    results: Results
    files: Sequence[Path] = ()
    profile: str | None = None
    tracking_uri: str | None = None
    only: Sequence[str] = ()
    settings: Sequence[str] = ()
    every: bool = False
    authors: Path | None = None
    data: Path | None = None
    formats: Sequence[str] = ()
    out: Path | None = None
    mix_engines: bool = False
    printed: bool = False


class Part(NamedTuple):
    """One sweep of a report, the question that the report answers, and its searches if it is searched."""

    sweep: Sweep
    profile: str | None
    asked: "Asked"
    searches: Sequence[KnownSearch] = ()


@dataclass(frozen=True, kw_only=True)
class Request:
    """A valid request: every file is read and every plan is known. `uri` is None if no tracking store is read.

    `left_out` are the names of sweeps for which the authors have no runs; `loaded` is the raw data to report, if any.
    """

    options: Options
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]
    uri: str | None
    loaded: "Loaded | None"
    out: Path


def understand(options: Options) -> Request:
    """Return the request for `options`.

    Raises SweepError if they contradict each other or a file has faults, OSError if `authors` is not a file.
    """
    if options.data is not None:
        options = _of_raw_data(options, options.data)
    if options.authors is not None and options.authors.exists():
        require_regular(options.authors)
    files = options.files or (tuple(sorted(SWEEPS.glob("*.yaml"))) if options.every else ())
    if options.every and not files:
        raise SweepError(
            f"--all: there is no sweep file {Path.cwd() / SWEEPS}/*.yaml; go to the folder that holds your sweeps, or "
            "name their files: sweeper report --all FILE..."
        )
    if not files or (len(files) > 1 and not options.every):
        raise SweepError("several files need --all" if files else "give a sweep FILE, or --all")
    raw = None if options.data is None else options.data / raw_folder.SWEEP
    sweeps = {
        file: sweep_in(file, options.results, options.settings) if file != raw else raw_folder.own_sweep(file.parent)
        for file in files
    }
    _refuse_of_searched(options, sweeps)
    left_out: tuple[str, ...] = ()
    if options.authors is not None and options.every:
        sweeps, left_out = _of_authors_alone(sweeps)
        if not sweeps:
            raise SweepError(f"the authors have no runs of {', '.join(left_out)}; leave out --compare-authors")
    stored = options.authors is None and options.data is None
    uri = resolve_uri(options.tracking_uri, options.results.root) if stored else None
    if uri is None and stored:
        raise SweepError(
            "--tracking-uri none: a report reads a tracking store; run `sweeper sync FILE`, then report it"
        )
    loaded = None if options.data is None else raw_folder.read(options.data)
    digests = options.results.digests() if loaded is None else raw_folder.digests(loaded)
    parts = tuple(part_of(options, file, sweep, digests) for file, sweep in sweeps.items())
    out = options.out or options.results.report("all" if options.every else parts[0].asked.sweep)
    return Request(options=options, parts=parts, left_out=left_out, uri=uri, loaded=loaded, out=out)


def _refuse_of_searched(options: Options, sweeps: Mapping[Path, Sweep]) -> None:
    """Raise SweepError for what a report of a searched sweep can't have."""
    searched = [sweep.name for sweep in sweeps.values() if sweep.search is not None]
    if searched and options.authors is not None:
        raise SweepError(f"--compare-authors: {searched[0]} is searched, and the authors did not search; leave it out")


def _of_raw_data(options: Options, data: Path) -> Options:
    """Return `options` with the sweep file, profile and selectors of the raw data, if they name no file."""
    given = {
        "--all": options.every, "--compare-authors": options.authors is not None,
        "--tracking-uri": options.tracking_uri is not None,
    }  # fmt: skip
    if other := [name for name, asked in given.items() if asked]:
        raise SweepError(f"--from reads the raw data in {data}; leave out {other[0]}")
    if options.files:
        return options
    if options.settings:
        raise SweepError(f"--from {data} reports the trials that its data has; leave out --set, or name a FILE")
    if options.profile is not None:
        raise SweepError(f"--from {data} reports the profile that its data has; leave out --profile, or name a FILE")
    profile, only = raw_folder.question(data)
    return replace(options, files=(data / raw_folder.SWEEP,), profile=profile, only=(*only, *options.only))


def _of_authors_alone(sweeps: dict[Path, Sweep]) -> tuple[dict[Path, Sweep], tuple[str, ...]]:
    """Return the sweeps for which the authors have runs, and the names of the others."""
    from analysis.paper.authors.families import AXES

    kept = {file: sweep for file, sweep in sweeps.items() if sweep.name in AXES}
    return kept, tuple(sweep.name for sweep in sweeps.values() if sweep.name not in AXES)


def part_of(options: Options, file: Path, sweep: Sweep, digests: Mapping[str, str]) -> Part:
    """Return the question that a report of `sweep` answers; `digests` are those of the data sets."""
    from analysis.report.sweep_report import Asked

    profile = options.profile if not options.every or options.profile in sweep.profiles else None
    states = None if options.data is None or sweep.search is None else raw_folder.states(options.data)
    searches = known_searches(sweep, profile, options.results, digests, states)
    if sweep.search is None:
        specs = select(planned(sweep, profile, options.results, digests), options.only, "--only")
    else:
        chosen = {one.search_id for one in select_searches([one.search for one in searches], options.only, "--only")}
        searches = [one for one in searches if one.search.search_id in chosen]
        specs = list(trials_of(searches))
    papers = paper_configs(sweep) if sweep.paper else {}
    sha, dirty = commit()
    asked = Asked(
        plan=[spec.planned(papers.get(tuple(spec.labels.values()))) for spec in specs],
        axes=[*(axis.name for axis in sweep.axes), *(one.name for one in (sweep.search.space if sweep.search else ()))],
        sweep=experiment_name(sweep, profile),
        question=sweep.question,
        paper=sweep.paper or "",
        endpoint=sweep.endpoint,
        claims=sweep.claims,
        tables=sweep.tables,
        figures=sweep.figures,
        command=_command(file, sweep, profile, options),
        commit=f"{sha}{' with changes' if dirty else ''}",
        mix_engines=options.mix_engines,
        printed=options.printed,
    )
    return Part(sweep, profile, asked, searches)


def _command(file: Path, sweep: Sweep, profile: str | None, options: Options) -> str:
    if options.data is not None and file == options.data / raw_folder.SWEEP:
        return shlex.join(["sweeper", "report", "--from", str(options.data)])
    words = ["sweeper", "report", str(file), *(["--profile", profile] if profile else [])]
    words += set_words(sweep)
    words += [word for selector in options.only for word in ("--only", selector)]
    words += ["--compare-authors", options.authors.name] if options.authors is not None else []
    words += ["--from", str(options.data)] if options.data is not None else []
    return shlex.join(words)
