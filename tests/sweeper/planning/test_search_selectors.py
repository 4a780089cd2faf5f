"""Selectors of whole searches: by labels of the matrix, by seed, by the start of an id."""

import pytest

from sweeper.errors import SweepError
from sweeper.planning.search_selectors import select_searches
from sweeper.planning.searched import searches_of
from sweeper.sweepfile.sweep import load
from tests.sweeper.plugged import TOY
from tests.sweeper.search.hunt import write_hunt

MATRIX = """\
matrix:
  steps of the inside: {few: {depth: 1}, many: {depth: 2}}
  shift: [0.0, 0.5]
"""
CODE = TOY.replace("rate: float = 0.5", "rate: float = 0.5\n    depth: int = 1\n    shift: float = 0.0")


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    return searches_of(load(write_hunt(tmp_path_factory.mktemp("hunt"), "seeds: 2", code=CODE, more=MATRIX)))


def test_a_selector_picks_searches_by_cell_seed_and_id(searches) -> None:
    assert len(searches) == 8 and select_searches(searches, [], "--only") == list(searches)
    few = select_searches(searches, ["steps of the inside=few"], "--only")
    assert [search.cell.labels["steps of the inside"] for search in few] == ["few"] * 4
    assert {search.seed for search in select_searches(searches, ["seed=1,shift=5e-1"], "--only")} == {1}
    assert len(select_searches(searches, ["seed=1,shift=5e-1"], "--only")) == 2
    last = searches[-1]
    assert select_searches(searches, [last.search_id[:8]], "--only") == [last]
    both = select_searches(searches, [last.search_id, "steps of the inside=few"], "--only")
    assert both == [*few, last]


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        (
            "rate=0.5",
            "'rate' is no axis of the matrix, and a search chooses its trials itself; pick whole searches by ",
        ),
        ("shift=0.7", "--only shift=0.7: no search of this sweep matches; they are "),
        ("nonsense", "'nonsense' is neither axis=label nor the first 4 to 16 digits"),
    ],
)
def test_what_picks_no_search_is_refused(searches, selector, says) -> None:
    with pytest.raises(SweepError) as caught:
        select_searches(searches, [selector], "--only")
    assert says in str(caught.value)
