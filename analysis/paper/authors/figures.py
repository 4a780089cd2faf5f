"""How each figure of the paper was drawn from the stored runs: column, smoothing and horizontal axis.

These rules were found by rebuilding the curves and comparing them with the vector paths of the printed PDF.
"""

from dataclasses import dataclass

from analysis.contract.record import Head
from analysis.paper.authors.families import Steps

LEGENDS = {
    ("Fig. 7", "contrastive, no interference", "first"): "FOMAML, random (contrastive)",
    ("Fig. 7", "contrastive, zeroing", "first"): "FOMAML, zero (contrastive)",
    ("Fig. 7", "MAML, zeroing", "second"): "SOMAML, zero",
    ("Fig. 7", "contrastive, zeroing", "second"): "SOMAML, zero (contrastive)",
    ("Fig. 8", "contrastive, full", "first"): "n1 on, n2 on (original MAML)",
    ("Fig. 8", "contrastive, no noise", "first"): "n1 off, n2 on",
    ("Fig. 8", "contrastive, no interference", "first"): "n1 on, n2 off",
    ("Fig. 8", "contrastive, neither", "first"): "n1 off, n2 off (zeroing trick)",
}
"""(Figure, our arm, order) -> the name in the printed legend; n1 is the interference term, n2 the noise."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One printed figure; `rows` is the number of evaluations of each file that were smoothed (None: all).

    `drawn` is a sentence on how it was made. `differs` is its deviation from the measurement in its caption, or "".
    """

    name: str
    sweep: str
    family: str
    test_steps: Steps
    heads: tuple[Head, ...]
    width: int
    panels: tuple[str, ...]
    rows: int | None
    drawn: str
    differs: str
    mixed: bool = False

    @property
    def token(self) -> str:
        """The name of the figure in the raw file."""
        return self.name.replace(". ", "")


_BOTH: tuple[Head, ...] = ("trained", "zeroed")
_ZEROED: tuple[Head, ...] = ("zeroed",)
_MINI_ROWS = "13 evaluations per 2,500 outer steps are drawn as if they were 200 apart"
_STRETCHED = "Its abscissa is stretched by 4 %: what is drawn at 10,000 was measured at outer step 9,700."
_EFIL = (
    "{} is tested with 1 inner step of the whole model, head zeroed; evaluations are 250 outer steps apart, as drawn."
)
_TURNS = (
    "{} mixes two measurements: tested with 1 inner step, it is smoothed over rows that are by turns as trained and "
    "zeroed."
)
_MIXED = (
    "Test with the head as trained and with the head zeroed are averaged into one another, 3 evaluations to 2; "
    "the abscissa is the number of the evaluation, which is to be multiplied by 30."
)

FIGURES = (
    Figure(
        name="Fig. 3",
        sweep="test_time_zeroing",
        family="testing_stage_zeroing",
        test_steps=1,
        heads=_BOTH,
        width=3,
        panels=("test head",),
        rows=None,
        drawn="Fig. 3 is drawn at half the true iteration: checkpoints 400 outer steps apart are drawn 200 apart.",
        differs="Its abscissa is compressed twofold: what is drawn at 5,000 was measured at outer step 10,000.",
    ),
    Figure(
        name="Fig. 4",
        sweep="zeroing_vs_steps",
        family="training_stage_zeroing",
        test_steps="inner_steps",
        heads=_ZEROED,
        width=5,
        panels=("zeroing",),
        rows=78,
        drawn=f"Fig. 4 is tested with as many inner steps as trained, head zeroed; {_MINI_ROWS}.",
        differs=_STRETCHED,
    ),
    Figure(
        name="Fig. 5",
        sweep="head_scale",
        family="initialization_and_zeroing",
        test_steps=1,
        heads=_ZEROED,
        width=5,
        panels=("task",),
        rows=85,
        drawn=f"Fig. 5 is tested with 1 inner step, head zeroed; {_MINI_ROWS}.",
        differs=f"{_STRETCHED} One seed of three of its 5-shot cells was truly tested every 200.",
    ),
    Figure(
        name="Fig. 7",
        sweep="contrastive_equivalence",
        family="exact_contrastiveness",
        test_steps=1,
        heads=_ZEROED,
        width=10,
        panels=(),
        rows=None,
        drawn=_EFIL.format("Fig. 7"),
        differs="The curve called FOMAML, random (contrastive) leaves the interference term out and has a frozen head; "
        "the two plain FOMAML curves are of runs that are not in the release.",
    ),
    Figure(
        name="Fig. 8",
        sweep="contrastive_equivalence",
        family="exact_contrastiveness",
        test_steps=1,
        heads=_ZEROED,
        width=10,
        panels=(),
        rows=None,
        drawn=_EFIL.format("Fig. 8"),
        differs="By the flags of the released code the labels of its orange and green curves are swapped, and the "
        "curve called original MAML has a head frozen at its random start.",
    ),
    Figure(
        name="Fig. 10",
        sweep="first_vs_second_order",
        family="FOMAML_SOMAML",
        test_steps=3,
        heads=_ZEROED,
        width=5,
        panels=("order", "task"),
        rows=None,
        drawn=f"Fig. 10 is tested with 3 inner steps, head zeroed; {_MINI_ROWS}.",
        differs=_STRETCHED,
    ),
    Figure(
        name="Fig. 12",
        sweep="large_shots",
        family="5_way_25_shot",
        test_steps=5,
        heads=_ZEROED,
        width=5,
        panels=(),
        rows=None,
        drawn="Fig. 12 is tested with 5 inner steps, head zeroed; evaluations are 200 outer steps apart, as drawn.",
        differs="",
    ),
    Figure(
        name="Fig. 13",
        sweep="memorisation",
        family="fixed_channel",
        test_steps=10,
        heads=_ZEROED,
        width=5,
        panels=("task",),
        rows=None,
        drawn="Fig. 13 is tested with 10 inner steps, head zeroed; evaluations are 200 outer steps apart, as drawn.",
        differs="",
    ),
    Figure(
        name="Fig. 14",
        sweep="omniglot_basic",
        family="omniglot_basic",
        test_steps=1,
        heads=_BOTH,
        width=5,
        panels=("task", "test head"),
        rows=None,
        drawn=_TURNS.format("Fig. 14"),
        differs=_MIXED,
        mixed=True,
    ),
    Figure(
        name="Fig. 15",
        sweep="omniglot_basic",
        family="omniglot_basic",
        test_steps=1,
        heads=_ZEROED,
        width=5,
        panels=("task",),
        rows=None,
        drawn=_TURNS.format("Fig. 15"),
        differs=_MIXED,
        mixed=True,
    ),
    Figure(
        name="Fig. 16",
        sweep="omniglot_basic",
        family="omniglot_basic",
        test_steps=1,
        heads=_ZEROED,
        width=5,
        panels=("order",),
        rows=None,
        drawn=_TURNS.format("Fig. 16"),
        differs=_MIXED,
        mixed=True,
    ),
    Figure(
        name="Fig. 17",
        sweep="memorisation",
        family="omniglot_memorization",
        test_steps=1,
        heads=_ZEROED,
        width=5,
        panels=("task",),
        rows=None,
        drawn=_TURNS.format("Fig. 17"),
        differs=f"{_MIXED} With the head truly zeroed its 5-way 1-shot gap vanishes.",
        mixed=True,
    ),
)
