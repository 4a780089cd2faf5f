"""The form of `search:` in a sweep file: its keys and the type of each value. What they mean is in `search_key`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_TRIALS = 100_000
MOST_CONFIRMED = 1000


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OneMetricForm(_Form):
    """A metric of one trainer; further keys are coordinates of the metric, which `search_metric` checks."""

    model_config = ConfigDict(extra="allow")

    name: str
    split: str | None = None


class SearchMetricForm(OneMetricForm):
    """`search.metric`: what is compared. `trainers` has it for those that measure it differently, by their names."""

    better: Literal["higher", "lower"] | None = None
    trainers: dict[str, OneMetricForm] = {}


class RungsForm(_Form):
    """`search.rungs`: the lengths at which trials are compared, from the first to the last."""

    first: Annotated[int, Field(ge=1)]
    factor: Annotated[int, Field(ge=2)]
    last: Annotated[int, Field(ge=1)]


class ConfirmForm(_Form):
    """`search.confirm`: the best trials are trained again with fresh seeds."""

    best: Annotated[int, Field(ge=1, le=MOST_CONFIRMED)]
    seeds: Annotated[int, Field(ge=1, le=MOST_CONFIRMED)]
    on: str | None = None


class SearchForm(_Form):
    """`search:`."""

    space: dict[str, Any]
    sampler: Any
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)]
    metric: SearchMetricForm
    rungs: RungsForm | None = None
    confirm: ConfirmForm | None = None


REQUIRED = {
    ("search", "space"): "what is searched, such as inner_lr: {log: [0.01, 1]}",
    ("search", "sampler"): "random, sobol, tpe or gp",
    ("search", "trials"): "how many points each search proposes",
    ("search", "metric"): "what is compared, such as {name: accuracy, split: val}; there is no default",
    ("search", "metric", "name"): "a metric of the trainer",
    ("search", "rungs", "first"): "the length of every trial",
    ("search", "rungs", "factor"): "the best 1/factor of a rung go on",
    ("search", "rungs", "last"): "the length of the best trials",
    ("search", "confirm", "best"): "how many of the best trials are trained again",
    ("search", "confirm", "seeds"): "how many fresh seeds each of them gets",
}
"""What a required key holds, for the message when it is missing."""


def form_at(place: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the form of the mapping at `place`, None if that is not below `search:`."""
    forms: dict[tuple[str | int, ...], type[BaseModel]] = {
        ("search",): SearchForm,
        ("search", "metric"): SearchMetricForm,
        ("search", "rungs"): RungsForm,
        ("search", "confirm"): ConfirmForm,
    }
    return forms.get(place)
