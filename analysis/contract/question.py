"""The questions of a sweep file: planned trials, endpoints, claims, tables and figures. Plain data, no computation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, cast

from analysis.contract.record import Head

Steps = int | Literal["inner_steps"]
"""Number of inner steps before scoring; "inner_steps" is the number that the trial trained with."""
Measured = Literal["readings", "evaluations", "finals", "probes"]
"""The part of a `TrialRecord` that holds a number: "readings" of any trainer, or one of MAML's three."""
NOT_APPLICABLE = "-"
"""The label of a trial for an axis that does not apply to it."""
BEST_VAL: Literal["best val"] = "best val"
Word = Literal["last", "best val"]
At = tuple[int, ...] | Word
"""The steps that are read; "last" for the end of a trial, "best val" for where its validation is best."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a trainer declares: `words` name it in a sentence, `axis` on an axis of a figure ("": words, unit).

    `unit` is printed behind a value; "%" prints fractions in percent. `least` and `most` bound the metric as measured.
    """

    words: str
    axis: str = ""
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    least: float = -math.inf
    most: float = math.inf
    measured: Measured = "readings"

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Metric":
        """Return the metric that `facts`, a trainer's declaration as plain data, describe; None stands for a default.

        Other keys have no meaning here.
        """
        return cls(**{name: facts[name] for name in cls.__dataclass_fields__ if facts.get(name) is not None})


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One planned trial as a report sees it; `labels` maps each axis, in file order, to the name of its value.

    `trainer` is the name of the trainer. `length` is the field with the number of steps, and `target` its value; they
    are None and 0 for a trainer without a length. `config` is complete, and `origins` says where each of its fields
    comes from. `paper` is the config of the paper's own cell with these labels, or None if the sweep file names none.
    """

    trial_id: str
    cell: str
    seed: int
    trainer: str
    length: str | None
    target: int
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
    """The number that a sweep reports, declared before it runs: a trainer's `metric`, which is `declared` in full.

    `coordinates` are the further keys of the reading with their values, in the order of the declaration, such as
    (("split", "val"),). `at` is "last" (the end of the trial) or the steps to read. The value is the mean of the last
    `window` measurements at or before that step. For `at` "best val" it is the one measurement at the first step at
    which `validation` is best, of those up to the planned end. Where the trainers of a sweep are read differently,
    `by_trainer` has the endpoint of each by its name; all have one unit, `at` and `window`. The first is this one.
    """

    metric: str
    declared: Metric
    coordinates: tuple[tuple[str, str | int], ...] = ()
    at: At
    window: int
    validation: "Endpoint | None" = None
    by_trainer: "tuple[tuple[str, Endpoint], ...]" = ()

    def of_trainer(self, trainer: str) -> "Endpoint":
        """Return what is read of a trial of `trainer`: one without `by_trainer`. KeyError for another one's."""
        return self if not self.by_trainer else self._of_each[trainer]

    @cached_property
    def _of_each(self) -> "dict[str, Endpoint]":
        return dict(self.by_trainer)

    @property
    def each(self) -> "tuple[Endpoint, ...]":
        """The endpoint of each trainer, this one first; equal ones once."""
        return (self,) if not self.by_trainer else tuple(dict.fromkeys(one for _, one in self.by_trainer))

    @classmethod
    def of(
        cls, metric: str, facts: Mapping[str, Any], coordinates: Mapping[str, Any], *, at: At, window: int
    ) -> "Endpoint":
        """Return the endpoint at `coordinates` of the metric that `facts`, plain data, describe: see `Metric.of`.

        `facts["coordinates"]` names the coordinates in order; others are left out, and so is one whose value is None.
        """
        given = tuple((name, coordinates.get(name)) for name in facts.get("coordinates") or ())
        own = tuple((name, value) for name, value in given if value is not None)
        return cls(metric=metric, declared=Metric.of(facts), coordinates=own, at=at, window=window)

    @cached_property
    def name(self) -> str:
        """The name under which a record of readings has the number: `accuracy`, or `accuracy/val`."""
        return "/".join([self.metric, *(str(value) for _, value in self.coordinates)])

    @property
    def scoring(self) -> Scoring:
        """Head and inner steps of an accuracy of MAML. Any other metric has none: KeyError."""
        given = dict(self.coordinates)
        return Scoring(cast(Head, given["head"]), cast(Steps, given["steps"]))  # MAML allows no other values

    @property
    def ats(self) -> tuple[int, ...] | tuple[Word]:
        """`at` as a tuple, with one entry for each step that is read."""
        return (self.at,) if isinstance(self.at, str) else self.at


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
    `reference`. `margin` is in the metric's unit as measured (0.01 is one point of a fraction); without it, the paper's
    margin for that task counts, if it has one. The p-values of a sweep's `primary` claims are adjusted together.
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
    margin: float | None = None


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


FigureKind = Literal["line", "inner_steps", "curves", "differences", "cosine", "shares", "feature_space"]
OF_PROBES: frozenset[FigureKind] = frozenset(("cosine", "shares", "feature_space"))
"""Kinds of figures that show MAML's probes."""


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """Axes of a figure: `x` on the horizontal axis, one line per value of `hue`, one panel per combination of `facets`.

    Only "line" has an `x`, along a logarithm if `logarithmic`; "inner_steps" is another name of that kind. "curves" and
    "shares" have the step there; "cosine" and "feature_space" show each step of the endpoint separately. "differences"
    shows the claims and no axis.
    `endpoint` is as in a table.
    """

    kind: FigureKind
    x: str | None
    hue: str | None
    facets: tuple[str, ...]
    endpoint: Endpoint | None = None
    logarithmic: bool = False
