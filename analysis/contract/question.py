"""The questions of a sweep file: planned trials, endpoints, claims, tables and figures. Plain data, no computation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from analysis.contract.record import Head, Metric

Steps = int | Literal["inner_steps"]
"""Number of inner steps before scoring; "inner_steps" is the number that the trial trained with."""


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One planned trial as a report sees it; `labels` maps each axis, in file order, to the name of its value.

    `config` is complete, and `origins` says where each of its fields comes from. `paper` is the config of the paper's
    own cell with these labels, or None if the sweep file names none.
    """

    trial_id: str
    cell: str
    seed: int
    target: int
    inner_steps: int
    eval_every: int
    labels: Mapping[str, str]
    config: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    paper: Mapping[str, Any] | None = None


class Scoring(NamedTuple):
    """How an accuracy is scored: the head before adaptation, and the number of inner steps."""

    head: Head
    steps: Steps


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The number that a sweep reports, declared before it runs.

    `steps` is the number of inner steps before scoring, or "inner_steps" for the number that the trial trained with.
    `head` and `steps` are None if and only if `metric` is read from probes. `at` is "last" (the trial's planned length)
    or the outer steps to read. The value is the mean of the last `window` evaluations or probes at or before that step.
    """

    metric: Metric
    head: Head | None
    steps: Steps | None
    at: tuple[int, ...] | Literal["last"]
    window: int

    @property
    def scoring(self) -> Scoring:
        """Head and inner steps of an accuracy. A metric read from probes has none: AssertionError."""
        assert self.head is not None and self.steps is not None, f"{self.metric} has no head or inner steps"
        return Scoring(self.head, self.steps)

    @property
    def ats(self) -> tuple[int, ...] | tuple[Literal["last"]]:
        """`at` as a tuple, with one entry for each outer step that is read."""
        return ("last",) if self.at == "last" else self.at


@dataclass(frozen=True, kw_only=True)
class Side:
    """One number of a contrast: `endpoint` of the cell with these `labels`. An axis of one value may be left out."""

    labels: Mapping[str, str]
    endpoint: Endpoint


@dataclass(frozen=True, kw_only=True)
class ClaimSpec:
    """One sentence of the paper as a contrast, declared before the sweep runs: `of` minus `minus`, paired by seed.

    An interaction subtracts a second contrast, `less[0]` minus `less[1]`. An equivalence says that the contrast is
    smaller than a margin fixed beforehand and, if `reference` is given, than half the published contrast of
    `reference`. The p-values of a sweep's `primary` claims are adjusted together.
    """

    says: str
    source: str
    kind: Literal["effect", "equivalence", "interaction"]
    of: Side
    minus: Side
    less: tuple[Side, Side] | None
    reference: tuple[Side, Side] | None
    expected: Literal["positive", "negative"] | None
    primary: bool


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """Axes of a table. Every axis of the sweep with more than one value is in `rows` or is `columns`.

    `endpoint` replaces the endpoint of the sweep; None keeps it.
    """

    rows: tuple[str, ...]
    columns: str
    endpoint: Endpoint | None = None


FORMATS = ("csv", "md", "tex", "png", "pdf", "svg", "html")
"""The formats of a report, as file name extensions."""


FigureKind = Literal["line", "inner_steps", "curves", "cosine", "shares", "feature_space"]


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """Axes of a figure: `x` on the horizontal axis, one line per value of `hue`, one panel per combination of `facets`.

    Only "line" has an `x`, along a logarithm if `logarithmic`; "inner_steps" is another name of that kind. "curves" and
    "shares" have the outer step there; "cosine" and "feature_space" show each outer step of the endpoint separately.
    `endpoint` is as in a table.
    """

    kind: FigureKind
    x: str | None
    hue: str | None
    facets: tuple[str, ...]
    endpoint: Endpoint | None = None
    logarithmic: bool = False
