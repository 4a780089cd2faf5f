"""The figures that a sweep asks for: which module computes and draws each kind, and what is said below it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from analysis.contract.question import Endpoint, FigureKind, FigureSpec
from analysis.figures.arms import place_of
from analysis.figures.cosine import cosine_info, draw_cosine
from analysis.figures.curves import curves_info, draw_curves
from analysis.figures.feature_space import draw_feature_space, feature_space_info
from analysis.figures.inner_steps import draw_inner_steps, inner_steps_info
from analysis.figures.shares import draw_shares, shares_info
from analysis.judging.readings import Readings, published_values
from analysis.numbers.endpoint import endpoint_sentence, metric_sentence
from analysis.paper.published import Published

CAPTIONS: Mapping[FigureKind, str] = {
    "inner_steps": "{endpoint}, against {x}.",
    "curves": "{metric}, against the outer step.",
    "cosine": "Mean cosine similarity of features: rows are query classes, columns support classes and query classes.",
    "shares": "Share of (support, query) pairs with a positive and with a negative contrastive coefficient, against "
    "the outer step.",
    "feature_space": "What one outer step in either order does to support and query features: the gradient in feature "
    "space, and how far the features go along those of the other set.",
}


class Drawn(NamedTuple):
    """A figure and the sentence below it."""

    figure: Figure
    caption: str


def draw(readings: Readings, spec: FigureSpec, question: str, endpoint: Endpoint, published: Published | None) -> Drawn:
    """Return the figure of `spec`, read as it says or else as `endpoint` says; with the authors' curve if known."""
    read = spec.endpoint or endpoint
    sentences = {"endpoint": endpoint_sentence(read), "metric": metric_sentence(read)}
    caption = CAPTIONS[spec.kind].format(**sentences, x=(spec.x or "").replace("_", " "))
    if spec.kind == "inner_steps":
        values = readings.frame(read)
        return Drawn(draw_inner_steps(inner_steps_info(values, readings.axes, spec, question, read)), caption)
    given = (readings.plan, readings.records, readings.axes, spec, question, read)
    if spec.kind == "curves":
        theirs = _published_curves(readings, spec, read, published) if published is not None else {}
        return Drawn(draw_curves(curves_info(*given, theirs)), caption)
    compute, render = _PROBED[spec.kind]
    return Drawn(render(compute(*given)), caption)


_PROBED: Mapping[FigureKind, tuple[Callable[..., Any], Callable[[Any], Figure]]] = {
    "cosine": (cosine_info, draw_cosine),
    "shares": (shares_info, draw_shares),
    "feature_space": (feature_space_info, draw_feature_space),
}


def _published_curves(
    readings: Readings, spec: FigureSpec, endpoint: Endpoint, published: Published
) -> dict[tuple[str, str], Sequence[tuple[int, float]]]:
    """Return the authors' means at the outer steps of their table that ours reach, by facet and hue."""
    found = {}
    for trial in readings.plan:
        steps = published.steps(trial.labels, endpoint.head, endpoint.steps) if endpoint.head else ()
        points = []
        for step in steps:
            values = list(published_values(published, trial.labels, endpoint, step).values())
            if step <= trial.target and values:
                points.append((step, sum(values) / len(values)))
        if points:
            found[place_of(trial, spec)] = points
    return found
