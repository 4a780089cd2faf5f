"""Every table of every sweep fits a page of one column and a page of two, compiled by a real TeX.

Every day each table is compiled on one of the kinds of pages, and the largest ones of each kind of table on all;
`make test-long` compiles each on all.
"""

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analysis.contract.question import Endpoint
from analysis.contract.record import TrialRecord
from analysis.pages.contents import grid
from analysis.pages.html import all_claims
from analysis.pages.latex import latex_table
from analysis.paper.published import load as published
from analysis.report.sweep_report import Asked, Found, find
from analysis.store import Loaded
from sweeper.reporting.request import Options, understand
from sweeper.results.paths import Results
from tests.budget import LONG
from tests.contracts.shipped import GRIDS
from tests.places import ROOT
from tests.tex_pages import PAGES, faults

SWEEPS = GRIDS
WAYS = 5

pytestmark = pytest.mark.slow


def asked_of(file: Path) -> Asked:
    (part,) = understand(Options(files=(file,), results=Results.at(Path("nowhere")))).parts
    return part.asked


def endpoints(asked: Asked) -> Iterator[Endpoint]:
    yield asked.endpoint
    for spec in asked.tables:
        yield spec.endpoint or asked.endpoint
    for claim in asked.claims:
        for side in (claim.of, claim.minus, *(claim.less or ()), *(claim.reference or ())):
            yield side.endpoint


def made_up(asked: Asked) -> dict[str, TrialRecord]:
    """Return a finished record of every planned trial, with random scores at every outer step that is read."""
    numbers, records = random.Random(5), {}
    read = {at for endpoint in endpoints(asked) for at in endpoint.ats if at != "last"}
    for trial in asked.plan:
        every = trial.config["eval_every"] or trial.target
        ends = {step for step in (trial.target, *read) if step <= trial.target}
        steps = ends | {step - step % every - back * every for step in ends for back in range(5)}
        steps = sorted(step for step in steps if step > 0)
        scores = [numbers.uniform(0.2, 1.0) for _ in range(12)]
        accuracy = {"trained": [score / 2 for score in scores], "zeroed": scores}
        cosine = [[numbers.uniform(-1, 1) for _ in range(2 * WAYS)] for _ in range(2 * WAYS)]
        pull = {features: {"gradient": 1.0, "same": scores[0], "other": -0.5} for features in ("support", "query")}
        probe: dict[str, Any] = {"time_ms": 0, "cosine": cosine, "positive": [scores[1]], "negative": [1 - scores[1]]}
        probe |= {"feature_pull": {"first": pull, "second": pull}}
        sd = {head: [0.1] * 12 for head in accuracy}
        entry = {"time_ms": 0, "episodes": 100, "accuracy": accuracy, "sd": sd}
        records[trial.trial_id] = TrialRecord(
            schema=1,
            trial_id=trial.trial_id,
            point="",
            cell=trial.cell,
            seed=trial.seed,
            status="done",
            message="",
            step=trial.target,
            target=trial.target,
            done_step=trial.target,
            config=dict(trial.config),
            training={"step": [], "time_ms": [], "query_loss": [], "query_accuracy": []},
            evaluations=[{"step": step, "split": trial.config["eval_split"], **entry} for step in steps],
            finals=[{"step": trial.target, "split": "test", **entry}],
            probes=[{"step": step} | probe for step in steps],
            scores=None,
            attempts=[],
        )
    return records


@cache
def found_of(file: Path) -> Found:
    asked = asked_of(file)
    loaded = Loaded(records=made_up(asked), run_ids={}, unreadable={})
    return find(asked, loaded, published(file.stem), "a store", figures=False)


@cache
def tables() -> dict[str, str]:
    """Return the .tex of every table that a report of every sweep writes, by the name of its file."""
    every = {}
    for file in SWEEPS:
        found = found_of(file)
        texts = {name: grid(table) for name, table in found.tables.items()} | dict(found.texts)
        every |= {f"{file.stem}-{name.replace('_', '-')}": latex_table(text) for name, text in texts.items()}
    claims = all_claims([found_of(file).page for file in SWEEPS])
    assert claims is not None
    return every | {"claims": latex_table(claims)}


def kind_of(name: str) -> str:
    return name.rpartition("-")[2] if not name[-1].isdigit() else name.split("-")[-2]


def width(table: str) -> int:
    return max(map(len, table.splitlines()))


def height(table: str) -> int:
    return len(table.splitlines())


def compiled_on(page: str) -> dict[str, str]:
    """Return the tables that are compiled on this kind of page, by name."""
    if LONG:
        return tables()
    kinds = {kind_of(name): [other for other in tables() if kind_of(other) == kind_of(name)] for name in tables()}
    largest = {max(names, key=lambda name: of(tables()[name])) for names in kinds.values() for of in (width, height)}
    mine = sorted(tables())[list(PAGES).index(page) :: len(PAGES)]
    return {name: tables()[name] for name in sorted({*mine, *largest})}


def test_every_kind_of_table_is_among_those_that_are_compiled() -> None:
    kinds = {"table", "contrast", "claims", "values", "drawn"}
    assert all({kind_of(name) for name in compiled_on(page)} == kinds for page in PAGES)
    assert {name for page in PAGES for name in compiled_on(page)} == set(tables())


@pytest.mark.parametrize("page", PAGES)
def test_every_table_of_every_sweep_fits(page: str, tmp_path: Path) -> None:
    assert faults(tmp_path, PAGES[page], compiled_on(page)) == []


def test_the_committed_tables_of_the_evidence_fit_too(tmp_path: Path) -> None:
    committed = sorted((ROOT / "sweeps/evidence").glob("*/*.tex"))
    texts = {f"{path.parent.name}-{path.stem.replace('_', '-')}": path.read_text() for path in committed}
    assert len(texts) > 10
    for number, (name, page) in enumerate(PAGES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        mine = texts if LONG else {table: texts[table] for table in sorted(texts)[number :: len(PAGES)]}
        assert faults(folder, page, mine) == [], name
