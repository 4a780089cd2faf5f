"""Builds one sweep's report from its plan and records, joined on trial id: tables, figures and a page. Writes no file.

The same plan and records give the same report.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from analysis.contract.question import ClaimSpec, Endpoint, FigureSpec, PlannedTrial, TableSpec
from analysis.contract.record import SCHEMA_VERSION, TrialRecord
from analysis.figures.printed import encode_printed
from analysis.figures.style import encode
from analysis.judging.claims import Judged, judge
from analysis.judging.readings import Readings
from analysis.numbers.endpoint import endpoint_sentence, metric_sentence
from analysis.numbers.engines import engine_remarks, engines_of_cells, refuse_mixed
from analysis.numbers.measurements import measurement_of
from analysis.numbers.tables import Cell, Table, contrast, table, where
from analysis.numbers.tidy import axis_column
from analysis.pages.beside import drawn_table, values_table
from analysis.pages.cell_sentences import answer as answer_of_cells
from analysis.pages.claim_sentences import answer, name_of, numbers
from analysis.pages.contents import Picture, Section, SweepPage, TextTable, axis_title, grid
from analysis.pages.protocol import paper_differences, protocol
from analysis.paper.deviations import TRAINER
from analysis.paper.published import Published
from analysis.report.pictures import draw, picture
from analysis.store import QUERY, Loaded

LIBRARIES = ("jinja2", "matplotlib", "mlflow", "numpy", "pandas", "scipy", "seaborn")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The questions of one sweep file. `paper` is the result it rebuilds ("" for none), `command` the command line.

    If `mix_engines`, a cell may have trials of two engines. If `printed`, the figures are also drawn for a paper.
    `commit` is that of the code which makes the report; the records name those of the trainings.
    """

    plan: Sequence[PlannedTrial]
    axes: Sequence[str]
    sweep: str
    question: str
    paper: str
    endpoint: Endpoint
    claims: Sequence[ClaimSpec]
    tables: Sequence[TableSpec]
    figures: Sequence[FigureSpec]
    command: str
    commit: str
    mix_engines: bool = False
    printed: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """The contents of a sweep's report. `tables`, `texts` and `pictures` have their files' names, without extension."""

    readings: Readings
    judged: Sequence[Judged]
    page: SweepPage
    tables: Mapping[str, Table]
    texts: Mapping[str, TextTable]
    pictures: Mapping[str, Mapping[str, bytes]]
    cells: Sequence[Cell]
    facts: Mapping[str, Any]


def find(asked: Asked, loaded: Loaded, published: Published | None, source: str, *, figures: bool = True) -> Found:
    """Return the contents of the report of `asked`; with `published`, the authors' numbers are shown beside ours.

    `source` names the store of the records, without a password. If `figures` is false, no figure is drawn. Raises
    AnalysisError if two engines trained one cell and that is not asked for.
    """
    engines = engines_of_cells(asked.plan, loaded.records)
    if not asked.mix_engines:
        refuse_mixed(engines)
    readings = Readings(asked.plan, asked.axes, loaded.records, frozenset(loaded.unreadable.values()))
    cells = readings.cells(asked.endpoint)
    tables = {f"table_{number}": _table(readings, spec, asked) for number, spec in enumerate(asked.tables, 1)}
    contrasts = _contrasts(readings, asked)
    judged = judge(
        asked.claims,
        readings.side,
        lambda side: readings.published_of(side, published) if published is not None else {},
        readings.facts,
    )
    texts = _texts(readings, asked, judged, published)
    trained = commits_of(loaded.records[t.trial_id] for t in asked.plan if t.trial_id in loaded.records)
    drawn = _pictures(readings, judged, asked, loaded, published, in_words(trained)) if figures else ({}, ())
    pictures, shown = drawn
    endpoint = f"{endpoint_sentence(asked.endpoint)}."
    grids = said_once([grid(replace(made, missing=())) for made in (*tables.values(), *contrasts.values())], endpoint)
    found = answer(judged, answer_of_cells(cells, list(contrasts.values())))
    page = SweepPage(
        sweep=asked.sweep,
        question=asked.question,
        paper=asked.paper,
        sentence=found.sentence,
        verdicts=found.verdicts,
        endpoint=endpoint,
        claims=texts.get("claims"),
        values=texts.get("values"),
        drawn=texts.get("drawn"),
        tables=grids,
        figures=shown,
        remarks=(*_paper_remarks(published), *engine_remarks(engines)),
        protocol=protocol(asked.plan) if asked.plan[0].origins else Section(title="Protocol"),
        differences=paper_differences(asked.plan)
        if asked.paper or all(trial.trainer == TRAINER for trial in asked.plan)
        else None,
        holes=tuple(
            f"{where(cell)}: seed {miss.seed}, trial {miss.trial_id}, {miss.reason}"
            for cell in cells
            for miss in cell.missing
        ),
        runs=dict(sorted(loaded.run_ids.items())),
        commit=asked.commit,
        trained=in_words(trained),
        command=asked.command,
        source=f"{source}; {QUERY}",
    )
    facts = _facts(asked, cells, source, page.runs) | {"trained_at": trained}
    return Found(
        readings=readings,
        judged=judged,
        page=page,
        tables=tables | contrasts,
        texts=texts,
        pictures=pictures,
        cells=cells,
        facts=facts,
    )


def commits_of(records: Iterable[TrialRecord]) -> dict[str, int]:
    """Return the number of trials that were trained at each commit; attempts of one trial may have several."""
    used: Counter[str] = Counter()
    for record in records:
        used.update({f"{one['commit']}{' with changes' if one['dirty'] else ''}" for one in record["attempts"]})
    return dict(sorted(used.items()))


def in_words(trained: Mapping[str, int]) -> str:
    """Return the commits of trainings with their numbers of trials; the authors' own results have none."""
    every = (f"{commit} ({count:,} trial{'' if count == 1 else 's'})" for commit, count in trained.items())
    return ", ".join(every) or "not recorded"


def _paper_remarks(published: Published | None) -> tuple[str, ...]:
    """Return how each figure of the paper differs from its measurements; one sentence for figures that differ alike."""
    figures: dict[str, list[str]] = {}
    for figure, sentence in published.differences.items() if published is not None else ():
        figures.setdefault(sentence, []).append(figure)
    return tuple(f"{', '.join(names)}: {sentence}" for sentence, names in figures.items())


def _pictures(
    readings: Readings,
    judged: Sequence[Judged],
    asked: Asked,
    loaded: Loaded,
    published: Published | None,
    trained: str,
) -> tuple[dict[str, dict[str, bytes]], tuple[Picture, ...]]:
    """Return each figure's files by name and format, and the figures as the page shows them."""
    commits = f"commit {asked.commit}; trained at commit {trained}"
    origin = f"sweep {asked.sweep}; {len(loaded.run_ids)} runs; {commits}; {asked.command}; {QUERY}"
    files, shown = {}, []
    for number, spec in enumerate(asked.figures, 1):
        name, drawn = f"figure_{number}", draw(readings, judged, spec, asked.question, asked.endpoint, published)
        files[name] = encode(drawn.figure, origin)
        if asked.printed:
            on_paper = draw(readings, judged, spec, asked.question, asked.endpoint, published, printed=True)
            files[f"{name}-paper"] = encode_printed(on_paper.figure, origin)
        made = picture(name, drawn, origin)
        said, against = endpoint_sentence(asked.endpoint), f"The endpoint against {axis_title(spec.x or '')}."
        caption, alt = made.caption.replace(f"{said}.", against, 1), made.alt.replace(said, "The endpoint", 1)
        shown.append(replace(made, caption=caption, alt=alt))
    return files, tuple(shown)


def said_once(tables: Sequence[TextTable], endpoint: str) -> tuple[TextTable, ...]:
    """Return the tables of a page without what it has said before: the endpoint in words, and notes of tables above."""
    said: set[str] = set()
    shown = []
    for made in tables:
        axes = [head for index, head in enumerate(made.heads) if index not in made.numeric]
        caption = f"The endpoint by {' and '.join([*axes, made.over])}." if made.caption == endpoint else made.caption
        shown.append(replace(made, caption=caption, notes=tuple(note for note in made.notes if note not in said)))
        said |= set(made.notes)
    return tuple(shown)


def _facts(asked: Asked, cells: Sequence[Cell], source: str, runs: Mapping[str, str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA_VERSION,
        "sweep": asked.sweep,
        "question": asked.question,
        "endpoint": _declared(asked.endpoint),
        "command": asked.command,
        "commit": asked.commit,
        "tracking_uri": source,
        "query": QUERY,
        "runs": runs,
        "missing": [miss._asdict() | {"at": cell.at} for cell in cells for miss in cell.missing],
        "libraries": libraries(),
    }


def _declared(endpoint: Endpoint) -> dict[str, Any]:
    """Return the endpoint as a sweep file declares it; MAML's numbers have a head and inner steps, or null."""
    if endpoint.by_trainer:
        both = ("at", "window")
        own = {name: {k: v for k, v in _declared(one).items() if k not in both} for name, one in endpoint.by_trainer}
        return _declared(endpoint.each[0]) | {"trainers": own}
    maml = {} if endpoint.declared.measured == "readings" else {"head": None, "steps": None}
    at = endpoint.at if isinstance(endpoint.at, str) else list(endpoint.at)
    return {"metric": endpoint.metric} | maml | dict(endpoint.coordinates) | {"at": at, "window": endpoint.window}


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute and draw a report."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def _table(readings: Readings, spec: TableSpec, asked: Asked) -> Table:
    read = spec.endpoint or asked.endpoint
    caption = f"{endpoint_sentence(read)}."
    unit, how = readings.unit(read), measurement_of(read)
    return table(readings.frame(read), readings.axes, spec, caption, read.window, unit, how)


def _contrasts(readings: Readings, asked: Asked) -> dict[str, Table]:
    """Return the paired differences of every table along each hue axis of two values that the table shows."""
    hues = dict.fromkeys(spec.hue for spec in asked.figures if spec.hue is not None)
    made: list[Table] = []
    for spec in asked.tables:
        read = spec.endpoint or asked.endpoint
        values = readings.frame(read)
        for axis in (axis for axis in hues if len(values[axis_column(axis)].cat.categories) == 2):
            turned = spec
            if axis == spec.columns and spec.rows:
                turned = TableSpec(rows=(axis, *spec.rows[:-1]), columns=spec.rows[-1])
            if axis in turned.rows:
                step = measurement_of(read).step
                one = contrast(values, readings.axes, turned, axis, readings.unit(read), step)
                if not one.cells:  # no cell with one label has a twin with the other
                    continue
                if read != asked.endpoint:
                    one = replace(one, caption=f"{metric_sentence(read)}; {one.caption}")
                made.append(one)
    return {f"contrast_{number}": one for number, one in enumerate(made, 1)}


def _texts(
    readings: Readings, asked: Asked, judged: Sequence[Judged], published: Published | None
) -> dict[str, TextTable]:
    texts = {"claims": claims_table(judged)} if judged else {}
    makers: dict[str, Callable[..., TextTable | None]] = {"values": values_table, "drawn": drawn_table}
    if published is not None:
        made = {name: maker(readings, asked.endpoint, published) for name, maker in makers.items()}
        texts |= {name: text for name, text in made.items() if text is not None}
    return texts


def claims_table(judged: Sequence[Judged]) -> TextTable:
    """Return one row per claim: the claim, its source, its contrast, the numbers and the verdict."""
    rows = [
        (
            found.claim.says,
            found.claim.source,
            name_of(found.claim),
            "yes" if found.claim.primary else "no",
            numbers(found),
            found.word,
        )
        for found in judged
    ]
    return TextTable(
        caption="Claims, each judged by the contrast that the sweep file declares.",
        heads=("claim", "source", "contrast", "primary", "numbers", "verdict"),
        rows=tuple(rows),
        notes=(
            "Contrasts are paired by common seeds. ± is half the 95 % t-interval. Holm's adjustment is over the "
            "primary claims; other claims are not adjusted.",
        ),
    )
