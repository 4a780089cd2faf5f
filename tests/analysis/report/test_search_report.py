"""The report of a searched sweep: what was found and what confirms it, apart; spaces that differ from cell to cell."""

import pytest

from analysis.contract.search import Confirmed, SearchDimension, SearchFound, SearchPoint, SearchValue
from analysis.errors import AnalysisError
from analysis.report.search_report import find_searched
from analysis.report.sweep_report import Asked
from analysis.store import Loaded
from tests.analysis.any_trainer import ACCURACY, planned, recorded

LR = SearchDimension("lr", "log")
DEPTH = SearchDimension("depth", "choice", ("1", "2"))


def search(cell: str, seed: int, dimensions: tuple[SearchDimension, ...], *, confirmed: bool) -> SearchFound:
    """Nine points at rung 20, three of them at 60; of the two that were confirmed, one is superseded."""
    params = {"lr": lambda n: 0.01 * (n + 1), "depth": lambda n: "12"[n % 2]}
    points = [
        SearchPoint(n, {one.name: params[one.name](n) for one in dimensions}, f"{cell}-{seed}-{n}", None, "")
        for n in range(9)
    ]
    values = [SearchValue(n, 0, 20, 0.3 + n / 100, "done", 20) for n in range(9)]
    values += [SearchValue(n, 1, 60, 0.5 + n / 100, "done", 40) for n in (8, 7, 6)]
    kept = (Confirmed(8, (f"{cell}-s7", f"{cell}-s8"), True), Confirmed(6, (f"{cell}-s9",), False))
    return SearchFound(
        search_id=f"{cell}{seed}", name=f"model {cell} · s{seed}", labels={"model": cell}, seed=seed, sampler="tpe",
        trials=9, rungs=(20, 60), factor=3, better="higher", metric=ACCURACY, dimensions=dimensions,
        points=tuple(points), values=tuple(values), confirmed=kept if confirmed else (),
        importance={one.name: 1 / len(dimensions) for one in dimensions},
    )  # fmt: skip


SEARCHES = [
    search("net", 0, (LR, DEPTH), confirmed=True),
    search("net", 1, (LR, DEPTH), confirmed=False),
    search("linear", 0, (LR,), confirmed=False),
]


def asked(plan) -> Asked:
    return Asked(
        plan=plan, axes=("model", "lr", "depth"), sweep="x", question="Which?", paper="", endpoint=ACCURACY, claims=(),
        tables=(), figures=(), command="sweeper report x.yaml", commit="abc",
    )  # fmt: skip


@pytest.fixture(scope="module")
def found():
    plan = [planned({"model": "net", "lr": "0.09", "depth": "1"}, seed) for seed in (7, 8, 9)]
    records = {one.trial_id: recorded(one, {60: {"accuracy/val": 0.6 + one.seed / 100}}) for one in plan}
    of = {f"net-s{one.seed}": one for one in plan}
    plan = [one.__class__(**vars(one) | {"trial_id": name}) for name, one in of.items()]
    records = {name: records[of[name].trial_id] | {"trial_id": name} for name in of}
    return find_searched(asked(plan), SEARCHES, Loaded(records=records, run_ids={}, unreadable={}), "by hand")


@pytest.mark.slow
def test_what_was_found_and_what_confirms_it_are_apart(found) -> None:
    lines = [verdict.text for verdict in found.page.verdicts]
    assert lines[0] == (
        "model net · s0: lr 0.09, depth 1 has 58.0 % at step 60, by which it was chosen; confirmed: 67.5 % "
        "(2 of 2 fresh seeds)"
    )
    assert lines[2].endswith("lr 0.09 has 58.0 % at step 60, by which it was chosen; not confirmed")
    assert found.page.sentence == "3 searches made 27 proposals."


def test_a_superseded_confirmation_stays_visible(found) -> None:
    rows = found.texts["confirmed"].rows
    assert [(row[1], row[4], row[-1]) for row in rows] == [
        ("8", "67.5 %", "among the best"), ("6", "69.0 %", "superseded"),
    ]  # fmt: skip


def test_every_proposal_is_read_at_the_rung_that_it_reached(found) -> None:
    table = found.texts["proposals"]
    assert table.heads[2:4] == ("lr", "depth")
    steps = [row[table.heads.index("step")] for row in table.rows]
    assert steps == [*["20"] * 6, *["60"] * 3] * 3
    assert [row[3] for row in table.rows[-9:]] == [""] * 9  # linear has no depth
    assert [row[6] for row in found.texts["found"].rows] == ["lr 0.09, depth 1", "lr 0.09, depth 1", "lr 0.09"]


def test_there_is_a_figure_of_each_kind_with_every_dimension(found) -> None:
    assert set(found.pictures) == {"best_so_far", "slices", "parallel_coordinates", "importance"}
    assert all(one["png"][:4] == b"\x89PNG" for one in found.pictures.values())
    captions = {one.name: one.caption for one in found.page.figures}
    assert "The line is the median of 2 seeds" in captions["best_so_far"]


def test_a_search_without_a_value_has_no_report() -> None:
    empty = SearchFound(**vars(SEARCHES[0]) | {"values": (), "points": (), "confirmed": ()})
    with pytest.raises(AnalysisError, match="Sweep x has no value of any search yet; run `sweeper run`"):
        find_searched(asked([]), [empty], Loaded(records={}, run_ids={}, unreadable={}), "by hand")
