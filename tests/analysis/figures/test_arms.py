"""The titles of panels say what their values are."""

import pytest

from analysis.contract.question import FigureSpec
from analysis.figures.arms import facet_of


@pytest.mark.parametrize(
    ("facets", "labels", "title"),
    [
        (("task",), ["Omniglot 5w1s"], "Omniglot 5w1s"),
        (("task", "inner_lr"), ["Omniglot 5w1s", "0.4"], "Omniglot 5w1s · inner lr 0.4"),
        (("wrong_labels", "step_size"), ["0.0", "1e-3"], "wrong labels 0.0 · step size 1e-3"),
        (("head_bias",), ["true"], "head bias true"),
        ((), [], ""),
    ],
)
def test_a_value_that_says_nothing_alone_has_the_name_of_its_axis(facets, labels, title):
    spec = FigureSpec(kind="line", x="steps", hue=None, facets=facets)
    assert facet_of(spec, labels) == title
