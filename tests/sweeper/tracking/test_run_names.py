"""Names of runs begin with what tells them apart."""

import pytest

from sweeper.tracking.run_names import short_name, swept_axes

CELLS = [
    {"task": "5w1s", "inner_steps": steps, "zeroing": zeroing, "order": "first"}
    for steps in ("1", "3")
    for zeroing in ("none", "every step")
]


def test_a_name_holds_the_swept_values_first_and_nothing_constant():
    swept = swept_axes(CELLS)
    assert swept == ("inner_steps", "zeroing")
    names = [short_name(cell, swept, "strokes · 5w1s", 0) for cell in CELLS]
    assert names[0] == "1 inner_steps · none · s0" and names[3] == "3 inner_steps · every step · s0"
    assert len(set(names)) == 4
    assert short_name(CELLS[0], swept, "strokes") == "1 inner_steps · none"


@pytest.mark.parametrize(("seed", "name"), [(2, "s2 · strokes"), (None, "strokes")])
def test_the_trials_of_a_single_cell_differ_by_their_seed(seed, name):
    assert short_name(CELLS[0], swept_axes(CELLS[:1]), "strokes", seed) == name
