"""The figures of a sweep: the module that computes and draws each kind, and its caption."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.contract.question import Endpoint, FigureKind, FigureSpec
from analysis.figures.arms import FigureRequest, place_of
from analysis.figures.curves import curves_info, draw_curves
from analysis.figures.differences import differences_info, draw_differences
from analysis.figures.inner_steps import draw_inner_steps, inner_steps_info
from analysis.figures.layout import Sheet
from analysis.figures.style import cropped
from analysis.judging.claims import Judged
from analysis.judging.readings import Readings, published_values
from analysis.maml.cosine import cosine_info, draw_cosine
from analysis.maml.feature_space import draw_feature_space, feature_space_info
from analysis.maml.shares import draw_shares, shares_info
from analysis.numbers.endpoint import endpoint_sentence, metric_sentence
from analysis.numbers.measurements import measurement_of
from analysis.pages.claim_sentences import in_short
from analysis.pages.contents import Mark, Picture
from analysis.paper.published import Published

Points = Sequence[tuple[int, float]]
"""(outer step, value) of each point."""

CAPTIONS: Mapping[FigureKind, str] = {
    "line": "{endpoint}, against {x}.",
    "inner_steps": "{endpoint}, against {x}.",
    "curves": "{metric}, against the {step}.",
    "differences": "The difference that decides each claim, paired by seed.",
    "cosine": "Mean cosine similarity of features: rows are query classes, columns support classes and query classes.",
    "shares": "Share of (support, query) pairs with a positive and with a negative contrastive coefficient, against "
    "the outer step.",
    "feature_space": "Effect of one outer step of either order on support and query features: the gradient in feature "
    "space, and the displacement along the features of the other set.",
}
NOTED: tuple[FigureKind, ...] = ("line", "inner_steps", "curves", "differences")
"""The kinds of figure that note every value that they draw, so that one without a note is empty."""


class Drawn(NamedTuple):
    """A figure and its caption, and whether it has no value to show yet."""

    figure: Sheet
    caption: str
    empty: bool = False


def draw(
    readings: Readings,
    judged: Sequence[Judged],
    spec: FigureSpec,
    question: str,
    endpoint: Endpoint,
    published: Published | None,
    *,
    printed: bool = False,
) -> Drawn:
    """Return the figure of `spec` with its caption, and with the authors' points if `published` has any.

    The figure shows the endpoint of `spec`, or `endpoint` if `spec` names none. If `printed`, it has the width and the
    letters of a paper.
    """
    read = spec.endpoint or endpoint
    request = FigureRequest(
        plan=readings.plan, records=readings.records, axes=readings.axes, spec=spec, question=question, endpoint=read
    )
    sentences = {"endpoint": endpoint_sentence(read), "metric": metric_sentence(read)}
    sentences["step"] = measurement_of(read).step
    caption = CAPTIONS[spec.kind].format(**sentences, x=(spec.x or "").replace("_", " "))
    figure = _figure(request, readings, judged, published, printed)
    return Drawn(figure, caption, empty=spec.kind in NOTED and not figure.notes)


def picture(name: str, drawn: Drawn, provenance: str) -> Picture:
    """Return the figure as a page shows it: without its own texts, which the page prints, and with its values."""
    figure = drawn.figure
    width, height = (float(side) for side in figure.get_size_inches())
    tall = height - figure.head - figure.foot
    marks = []
    for axes, x, y, text in figure.notes:
        axes.get_xlim(), axes.get_ylim()  # matplotlib scales an axis when its limits are asked for
        right, up = (float(pixels) / figure.dpi for pixels in axes.transData.transform((x, y)))
        marks.append(Mark(round(right / width, 4), round((height - figure.head - up) / tall, 4), text))
    return Picture(
        name=name,
        caption=figure.footer,
        alt=drawn.caption,
        data=cropped(figure, figure.head, figure.foot, provenance),
        kind="svg+xml",
        width=width,
        marks=tuple(marks),
        empty=drawn.empty,
    )


def _figure(
    request: FigureRequest, readings: Readings, judged: Sequence[Judged], published: Published | None, printed: bool
) -> Sheet:
    match request.spec.kind:
        case "line" | "inner_steps":
            return draw_inner_steps(inner_steps_info(request, readings.frame(request.endpoint)), printed=printed)
        case "curves":
            theirs = _published_points(request, published) if published is not None else {}
            return draw_curves(curves_info(request, theirs), printed=printed)
        case "differences":
            return draw_differences(differences_info(request.question, judged, in_short), printed=printed)
        case "cosine":
            return draw_cosine(cosine_info(request))
        case "shares":
            return draw_shares(shares_info(request), printed=printed)
        case "feature_space":
            return draw_feature_space(feature_space_info(request))


def _published_points(request: FigureRequest, published: Published) -> dict[tuple[str, str], Points]:
    """Return the authors' means by facet and hue, at the outer steps of their table that our trials reach.

    As in our curves, a mean counts if it averages as many evaluations as the endpoint's window.
    """
    endpoint = request.endpoint
    if endpoint.declared.measured == "probes":
        return {}
    every: dict[tuple[str, str], Points] = {}
    for trial in request.plan:
        points = []
        for step in published.steps(trial.labels, *endpoint.scoring, endpoint.window):
            values = list(published_values(published, trial.labels, endpoint, step).values())
            if step <= trial.target and values:
                points.append((step, sum(values) / len(values)))
        if points:
            every[place_of(trial, request.spec)] = points
    return every
