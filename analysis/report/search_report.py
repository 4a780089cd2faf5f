"""Builds the report of a searched sweep: best found with its budget, and the confirmation apart. Writes no file.

Searched trials are never averaged: a search chose them by their values. Only confirmations, with fresh seeds, are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.contract.search import SearchFound
from analysis.errors import AnalysisError
from analysis.figures.searched import figures_of
from analysis.figures.style import encode
from analysis.judging.readings import Readings
from analysis.numbers.endpoint import Unit, endpoint_sentence, in_unit, read, unit_of
from analysis.numbers.searched import leader
from analysis.pages.contents import Answer, Picture, Section, SweepPage, TextTable, Verdict
from analysis.pages.protocol import protocol
from analysis.pages.search_tables import confirmed_table, found_table, point_words, proposals_table
from analysis.report.sweep_report import Asked, Found, commits_of, in_words, libraries
from analysis.store import QUERY, Loaded


def find_searched(
    asked: Asked, searches: Sequence[SearchFound], loaded: Loaded, source: str, *, figures: bool = True
) -> Found:
    """Return the contents of the report of a searched sweep.

    `asked.plan` has every trial that the searches have named. Raises AnalysisError if no value was heard yet.
    """
    if not any(one.value is not None for found in searches for one in found.values):
        raise AnalysisError(
            f"Sweep {asked.sweep} has no value of any search yet; run `sweeper run` on its file, and "
            "`sweeper status` shows how far it is"
        )
    named = {trial for found in searches for one in found.confirmed for trial in one.trial_ids}
    plan = [trial for trial in asked.plan if trial.trial_id in named]
    values: dict[str, float] = {}
    for trial in plan:
        reading = read(trial, loaded.records.get(trial.trial_id), asked.endpoint, "last")
        values |= {} if reading.reason else {trial.trial_id: reading.value}
    metric = searches[0].metric
    unit = unit_of(metric, (one.value for found in searches for one in found.values if one.value is not None))
    units = unit, unit_of(asked.endpoint, values.values())
    confirmed = confirmed_table(searches, values, asked.endpoint, units)
    texts = {"found": found_table(searches, unit), "proposals": proposals_table(searches, unit)}
    texts |= {} if confirmed is None else {"confirmed": confirmed}
    trained = commits_of(loaded.records[t.trial_id] for t in asked.plan if t.trial_id in loaded.records)
    origin = f"sweep {asked.sweep}; commit {asked.commit}; {asked.command}; {QUERY}"
    pictures: dict[str, dict[str, bytes]] = {}
    shown: list[Picture] = []
    for name, drawn in (figures_of(searches, unit) if figures else {}).items():
        pictures[name] = encode(drawn.figure, origin)
        width = float(drawn.figure.get_size_inches()[0])
        shown.append(
            Picture(
                name=name, caption=drawn.caption, alt=drawn.caption, data=pictures[name]["png"], kind="png", width=width
            )
        )
    answer = _answer(searches, unit, confirmed)
    readings = Readings(plan or asked.plan, asked.axes, loaded.records, frozenset(loaded.unreadable.values()))
    cells = readings.cells(asked.endpoint) if plan else []
    tables: tuple[TextTable, ...] = tuple(texts[name] for name in ("confirmed", "found") if name in texts)
    page = SweepPage(
        sweep=asked.sweep,
        question=asked.question,
        paper=asked.paper,
        sentence=answer.sentence,
        verdicts=answer.verdicts,
        endpoint=f"{endpoint_sentence(asked.endpoint)}.",
        claims=None,
        values=None,
        drawn=None,
        tables=tables,
        figures=tuple(shown),
        remarks=("Searched trials are not averaged: a search chose them by their values.",),
        protocol=protocol(asked.plan) if asked.plan[0].origins else Section(title="Protocol"),
        differences=None,
        holes=tuple(
            f"seed {miss.seed}, trial {miss.trial_id}, {miss.reason}" for cell in cells for miss in cell.missing
        ),
        runs=dict(sorted(loaded.run_ids.items())),
        commit=asked.commit,
        trained=in_words(trained),
        command=asked.command,
        source=f"{source}; {QUERY}",
    )
    return Found(
        readings=readings,
        judged=[],
        page=page,
        tables={},
        texts=texts,
        pictures=pictures,
        cells=cells,
        facts=_facts(asked, searches, source, trained),
    )


def _answer(searches: Sequence[SearchFound], unit: Unit, confirmed: TextTable | None) -> Answer:
    """Return the first confirmation of each search or, without any, what the searches found."""
    lines = []
    for found in searches:
        best = leader(found, found.values)
        if best is None or best.value is None:
            lines.append(Verdict("", f"{found.name}: no value yet"))
            continue
        own = (
            [row for row in confirmed.rows if row[0] == found.name and row[1] == str(best.number)] if confirmed else []
        )
        said = f"{in_unit(best.value, unit)} at step {best.step or 'end'}, by which it was chosen"
        again = f"; confirmed: {own[0][4]} ({own[0][5]} fresh seeds)" if own else "; not confirmed"
        lines.append(Verdict("", f"{found.name}: {point_words(found, best.number)} has {said}{again}"))
    asked = sum(len(found.points) for found in searches)
    count = len(searches)
    sentence = f"{count} search{'es' * (count > 1)} made {asked} proposals."
    return Answer(sentence, tuple(lines))


def _facts(asked: Asked, searches: Sequence[SearchFound], source: str, trained: Mapping[str, int]) -> dict[str, Any]:
    return {
        "sweep": asked.sweep,
        "question": asked.question,
        "searches": [
            {"search": found.search_id, "name": found.name, "proposals": len(found.points), "trials": found.trials}
            for found in searches
        ],
        "command": asked.command,
        "commit": asked.commit,
        "tracking_uri": source,
        "query": QUERY,
        "libraries": libraries(),
        "trained_at": dict(trained),
    }
