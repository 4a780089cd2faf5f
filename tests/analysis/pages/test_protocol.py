from dataclasses import replace

import pytest

from analysis.contract.question import PlannedTrial
from analysis.pages.protocol import config_differences, paper_differences, protocol, step_target

PAPER = {"dataset": "omniglot", "shots": 1, "inner_lr": 0.4, "eval_episodes": 992, "outer_steps": 3000, "seed": 0}
ORIGINS = {
    "dataset": "protocol omniglot",
    "shots": "default",
    "inner_lr": "protocol omniglot",
    "eval_episodes": "x.yaml:7",
    "outer_steps": "x.yaml:7",
    "seed": "x.yaml:9",
}


@pytest.fixture
def make(make_trial):
    def make(labels, seed=0, paper=True, **changes) -> PlannedTrial:
        config = {**PAPER, "seed": seed, **changes}
        origins = ORIGINS | dict.fromkeys(changes, "x.yaml:8")
        trial = make_trial(labels, seed, target=config["outer_steps"])
        return replace(trial, config=config, origins=origins, paper={**PAPER, "seed": seed} if paper else None)

    return make


def test_a_difference_names_field_value_and_the_papers(make) -> None:
    trial = make({"a": "1"}, seed=2, eval_episodes=100, inner_lr=0.1)
    assert config_differences(trial) == ("inner_lr 0.1 (paper 0.4)", "eval_episodes 100 (paper 992)")


def test_a_shorter_run_of_the_papers_cell_is_no_difference(make) -> None:
    assert config_differences(make({"a": "1"}, seed=3, outer_steps=300)) == ()


def test_a_cell_the_paper_lacks_never_counts_as_the_papers(make) -> None:
    assert config_differences(make({"a": "1"}, paper=False)) == ("the paper has no such cell",)


@pytest.mark.parametrize(
    ("steps", "said"),
    [(300, "300 of the paper's 3,000"), (3000, "the paper's 3,000"), (5000, "5,000, more than the paper's 3,000")],
)
def test_the_step_target_stands_beside_the_papers(make, steps: int, said: str) -> None:
    assert step_target(make({"a": "1"}, outer_steps=steps)) == said


def grid(make, **changes) -> list[PlannedTrial]:
    return [
        make({"task": task, "steps": steps}, seed, **changes)
        for task in ("A", "B")
        for steps in ("1", "2", "5")
        for seed in (0, 1)
    ]


def test_differences_are_grouped_by_the_axes_that_have_them(make) -> None:
    plan = [
        replace(
            trial,
            config={
                **trial.config,
                "eval_episodes": 100,
                "shots": 5 if trial.labels["task"] == "B" else 1,
                "inner_lr": 0.1 if trial.labels["steps"] in ("2", "5") else 0.4,
            },
        )
        for trial in grid(make, outer_steps=300)
    ]
    assert paper_differences(plan) == (
        "eval_episodes 100 (paper 992): every cell.",
        "inner_lr 0.1 (paper 0.4): steps 2, 5.",
        "shots 5 (paper 1): task B.",
        "Outer steps 300 of the paper's 3,000: every cell.",
    )


def test_cells_that_no_axis_tells_are_listed(make) -> None:
    corners = [("A", "1"), ("B", "5")]
    plan = [replace(trial, paper=None) if tuple(trial.labels.values()) in corners else trial for trial in grid(make)]
    assert paper_differences(plan) == ("The paper has no such cell: A, 1; B, 5.",)


def test_one_corner_is_told_by_both_axes(make) -> None:
    plan = [replace(trial, target=9) if tuple(trial.labels.values()) == ("B", "5") else trial for trial in grid(make)]
    assert paper_differences(plan) == ("Outer steps 9 of the paper's 3,000: task B; steps 5.",)


def test_the_papers_own_grid_and_a_sweep_of_nothing_in_the_paper_have_no_differences(make) -> None:
    assert paper_differences(grid(make)) == ()
    assert paper_differences(grid(make, paper=False)) == ()


def test_the_protocol_says_what_is_alike_what_differs_and_where_it_comes_from(make) -> None:
    plan = [
        make({"task": task}, seed, shots=shots, eval_episodes=1000)
        for task, shots in (("A", 1), ("B", 5))
        for seed in (0, 1)
    ]
    found = protocol(plan)
    assert found.paragraphs == ("4 trials: 2 cells, seeds 0, 1. Field names are those of sweep files.",)
    alike, differing = found.tables
    assert alike.rows == (
        ("dataset", "omniglot", "protocol omniglot"),
        ("inner_lr", "0.4", "protocol omniglot"),
        ("eval_episodes", "1,000", "x.yaml:8"),
        ("outer_steps", "3,000", "x.yaml:7"),
    )
    assert differing.rows == (("shots", "1", "task A", "x.yaml:8"), ("shots", "5", "task B", "x.yaml:8"))


def test_fields_nobody_set_are_named_in_one_sentence(make) -> None:
    assert protocol([make({"a": "1"})]).paragraphs[1] == ("Trainer's defaults in every trial: shots 1.")
