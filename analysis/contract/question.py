"""What a sweep file asks and a report answers: planned trials, endpoints, claims, tables and figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from analysis.contract.record import Head, Metric

Steps = int | Literal["inner_steps"]
"""Inner steps before scoring; "inner_steps" means as many as the trial trained with."""


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """What a report needs to know of one planned trial; `labels` maps each axis, in file order, to a value's name.

    `config` is complete, `origins` says where each of its fields came from, and `paper` is the config of the paper's
    own cell with these labels, None where the sweep file names none.
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
    """How an accuracy is scored: the head that adaptation begins with, and the number of inner steps."""

    head: Head
    steps: Steps


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The number a sweep is about, declared before it runs.

    `steps` is the number of inner steps before scoring, or "inner_steps" for as many as the trial trained with; `head`
    and `steps` are None just when `metric` is a probe's. `at` is "last" (the trial's planned length) or the outer steps
    to read. `window` evaluations or probes, the last at or before that step included, are averaged.
    """

    metric: Metric
    head: Head | None
    steps: Steps | None
    at: tuple[int, ...] | Literal["last"]
    window: int

    @property
    def scoring(self) -> Scoring:
        """Head and inner steps of an accuracy; ask only when `metric` is no probe's."""
        assert self.head is not None and self.steps is not None, f"{self.metric} has no head or inner steps"
        return Scoring(self.head, self.steps)

    @property
    def ats(self) -> tuple[int, ...] | tuple[Literal["last"]]:
        """`at` as a tuple: one entry for each outer step that is read."""
        return ("last",) if self.at == "last" else self.at


@dataclass(frozen=True, kw_only=True)
class Side:
    """One number of a contrast: the cell with these `labels` (an axis of one value may be left out), read so."""

    labels: Mapping[str, str]
    endpoint: Endpoint


@dataclass(frozen=True, kw_only=True)
class ClaimSpec:
    """One sentence of the paper as a contrast, declared before the sweep runs: `of` minus `minus`, paired by seed.

    An interaction is that contrast less another, `less[0]` minus `less[1]`. An equivalence says that the contrast is
    smaller than a margin that is fixed beforehand, and than half the published contrast of `reference`, if given.
    `primary` claims of one sweep share the adjustment for their number.
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
    """Axes of a table; every axis of the sweep with more than one value is in `rows` or is `columns`.

    `endpoint` is what is read where that isn't the sweep's own.
    """

    rows: tuple[str, ...]
    columns: str
    endpoint: Endpoint | None = None


FORMATS = ("csv", "md", "tex", "png", "pdf", "svg", "html")
"""What a report can be written as, by the ends of its files' names."""


FigureKind = Literal["inner_steps", "curves", "cosine", "shares", "feature_space"]


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """Axes of a figure: `x` along the abscissa, `hue` one line a value, `facets` one panel a combination.

    Only "inner_steps" has an `x` of its own; "curves" and "shares" go along the outer step, "cosine" and
    "feature_space" show each outer step of the endpoint by itself. `endpoint` is as in a table.
    """

    kind: FigureKind
    x: str | None
    hue: str | None
    facets: tuple[str, ...]
    endpoint: Endpoint | None = None
