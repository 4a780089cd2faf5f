"""The authors' stored runs: their folders, their counts of outer steps, and the sweeps of ours to compare them with.

Axes and labels have the names of our sweeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analysis.contract.question import Steps

MINI = (200, 1000, 2000, 5000, 10000, 15000, 20000, 29000, 29700)
FIG_4 = (200, 1000, 2000, 5000, 10000, 15000, 17400)
OMNIGLOT = (150, 300, 600, 1500, 1560, 2900, 2970)


@dataclass(frozen=True, kw_only=True)
class Family:
    """One folder of stored results. `episodes` is the number of test episodes, `counted_from` the updates at step 0.

    In most families, the stored "iteration 201" is after 201 updates, at step 200 of a count from 0. Only
    exact_contrastiveness counts as we do.
    """

    files: str
    episodes: int
    eval_every: int
    x_spacing: int
    counted_from: int = 1


FAMILIES: Mapping[str, Family] = {
    "testing_stage_zeroing": Family(
        files="testing_stage_zeroing/*/FINAL_original.csv and FINAL_zero.csv",
        episodes=400,
        eval_every=400,
        x_spacing=200,
    ),
    "training_stage_zeroing": Family(
        files="training_stage_zeroing/*/test_zero_E6S2400.csv and test_E6S2400.csv",
        episodes=400,
        eval_every=100,
        x_spacing=200,
    ),
    "initialization_and_zeroing": Family(
        files="initialization_and_zeroing/*/test_E11S2300.csv, and test_E6S1000.csv of 156 rows",
        episodes=400,
        eval_every=100,
        x_spacing=200,
    ),
    "FOMAML_SOMAML": Family(
        files="FOMAML_SOMAML/*/test_E11S2300.csv of 155 rows", episodes=400, eval_every=100, x_spacing=200
    ),
    "5_way_25_shot": Family(files="5_way_25_shot/*/test_E9S800.csv", episodes=400, eval_every=200, x_spacing=200),
    "fixed_channel": Family(files="fixed_channel/*/test_E11S2300.csv", episodes=400, eval_every=200, x_spacing=200),
    "exact_contrastiveness": Family(
        files="exact_contrastiveness/*/final_zero.csv and final.csv",
        episodes=200,
        eval_every=250,
        x_spacing=250,
        counted_from=0,
    ),
    "omniglot_basic": Family(files="omniglot/basic/*/test_s2970.csv", episodes=992, eval_every=30, x_spacing=1),
    "omniglot_memorization": Family(
        files="omniglot/memorization/*/test_s2970.csv", episodes=992, eval_every=30, x_spacing=1
    ),
}

ARMS = {
    "maml_init1": "MAML, random",
    "maml_zero": "MAML, zeroing",
    "contrastive_zero": "contrastive, zeroing",
    "contrastive_IFR1": "contrastive, full",
    "contrastive_IFR0": "contrastive, no interference",
    "contrastive_IFR1_q_contrast": "contrastive, no noise",
    "contrastive_IFR0_q_contrast": "contrastive, neither",
}
"""Stored variant -> our arm, by the flags in the released code: IFR is interference, q_contrast drops the noise.

The variants zero_w and pos_contrast are in neither the paper nor the released code.
"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Stored runs to compare with one of our sweeps, read at these steps; `where` restricts them to labels per axis."""

    rule: str
    family: str
    test_steps: tuple[Steps, ...]
    outer_steps: tuple[int, ...]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


AXES: Mapping[str, tuple[str, ...]] = {
    "contrastive_equivalence": ("task", "order", "inner_steps", "arm"),
    "cosine_similarity": ("task", "order", "inner_steps", "head"),
    "first_vs_second_order": ("task", "order", "inner_steps", "head"),
    "head_scale": ("task", "order", "inner_steps", "head"),
    "large_shots": ("task", "order", "inner_steps", "head"),
    "memorisation": ("task", "order", "inner_steps", "head"),
    "omniglot_basic": ("task", "order", "inner_steps", "head"),
    "test_time_zeroing": ("task", "order", "inner_steps", "head"),
    "zeroing_vs_steps": ("task", "order", "inner_steps", "zeroing"),
}
"""Sweep -> the axes that distinguish its published numbers, including axes of one value."""

LABELS: Mapping[str, tuple[str, ...]] = {
    "task": (
        *("mini-ImageNet 5w1s", "mini-ImageNet 5w5s", "mini-ImageNet 5w20s", "mini-ImageNet 5w25s"),
        *("Omniglot 5w1s", "Omniglot 5w5s"),
    ),
    "order": ("first", "second"),
    "inner_steps": ("1", "2", "3", "5", "7"),
    "zeroing": ("none", "at the start", "every step"),
    "head": ("random", "x0.7", "x0.5", "zero-init", "zeroing"),
    "arm": tuple(ARMS.values()),
}
"""Axis -> its labels, in the order of tables and legends."""


def in_order(labels: Mapping[str, str], axes: Sequence[str]) -> tuple[int, ...]:
    """Return a sort key: the rank of each axis's label in `LABELS`."""
    return tuple(LABELS[axis].index(labels[axis]) for axis in axes)


SOURCES: Mapping[str, tuple[Source, ...]] = {
    "zeroing_vs_steps": (
        Source(
            rule="Fig. 4",
            family="training_stage_zeroing",
            test_steps=("inner_steps", 1),
            outer_steps=FIG_4,
        ),
        Source(
            rule="runs of Fig. 5",
            family="initialization_and_zeroing",
            test_steps=("inner_steps", 1),
            outer_steps=FIG_4,
            where={"task": ("mini-ImageNet 5w5s",), "head": ("random", "zeroing")},
        ),
        Source(
            rule="runs of Figs. 14 to 16",
            family="omniglot_basic",
            test_steps=("inner_steps", 1),
            outer_steps=OMNIGLOT,
            where={"order": ("first",), "head": ("random", "zeroing")},
        ),
    ),
    "test_time_zeroing": (
        Source(rule="Fig. 3", family="testing_stage_zeroing", test_steps=(1,), outer_steps=(400, *MINI[1:-1], 29600)),
    ),
    "head_scale": (Source(rule="Fig. 5", family="initialization_and_zeroing", test_steps=(1,), outer_steps=MINI),),
    "first_vs_second_order": (Source(rule="Fig. 10", family="FOMAML_SOMAML", test_steps=(3, 10), outer_steps=MINI),),
    "large_shots": (
        Source(
            rule="Fig. 12", family="5_way_25_shot", test_steps=(5,), outer_steps=(200, 1000, 2000, 5000, 9000, 9800)
        ),
    ),
    "memorisation": (
        Source(rule="Fig. 13", family="fixed_channel", test_steps=(10,), outer_steps=MINI),
        Source(rule="Fig. 17", family="omniglot_memorization", test_steps=(1,), outer_steps=OMNIGLOT),
    ),
    "contrastive_equivalence": (
        Source(
            rule="Figs. 7 and 8",
            family="exact_contrastiveness",
            test_steps=(1,),
            outer_steps=(250, 1000, 2000, 5000, 10000, 15000, 19000, 20000),
        ),
    ),
    "omniglot_basic": (Source(rule="Figs. 14 to 16", family="omniglot_basic", test_steps=(1,), outer_steps=OMNIGLOT),),
}
