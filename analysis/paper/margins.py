"""The margins that were fixed for the paper's tasks before any run was seen. Judges nothing."""

from typing import NamedTuple


class TaskFacts(NamedTuple):
    """The facts that fix a margin: data set, order ("first" or "second") and shots of a config, and what is read."""

    dataset: str
    order: str
    shots: int
    metric: str


class MarginRule(NamedTuple):
    """The margin of `metrics` on all tasks that match; None matches any order or number of shots."""

    metrics: frozenset[str]
    dataset: str
    order: str | None
    shots: int | None
    margin: float


ACCURACIES: frozenset[str] = frozenset(("test_accuracy", "val_accuracy", "final_accuracy"))
MARGINS = (
    MarginRule(ACCURACIES, "mini_imagenet", None, None, 0.015),
    MarginRule(ACCURACIES, "omniglot", "second", 1, 0.05),
    MarginRule(ACCURACIES, "omniglot", None, None, 0.01),
)
"""The first matching rule counts. Synthetic data has no margin, because there is no published number for it.

A metric that is no accuracy has none either: a point of accuracy says nothing about cosines.
"""


def margin_of(facts: TaskFacts | None) -> float | None:
    """Return the margin of a metric on a task, in the metric's unit, or None if none is fixed."""
    if facts is None:
        return None
    for rule in MARGINS:
        task = rule.dataset == facts.dataset and rule.order in (None, facts.order) and rule.shots in (None, facts.shots)
        if task and facts.metric in rule.metrics:
            return rule.margin
    return None


def why_no_margin(facts: TaskFacts) -> str:
    """Return why a metric on a task has no margin, or "" if it has one."""
    if margin_of(facts) is not None:
        return ""
    measured = any(facts.metric in rule.metrics for rule in MARGINS)
    return f"no margin is fixed for {facts.dataset if measured else facts.metric}"
