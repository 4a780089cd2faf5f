"""The forms of the values in a trial's records, by the key of the record. Checks no numbers but that they are finite.

"training" has query_loss in nats and query_accuracy of that step's meta-batch. "evaluation" has split, episodes, and
per head and inner step the mean accuracy and its standard deviation over episodes, None where not scored;
"evaluation_val" is the same on the validation split of a trial that scores two, "final" for a trial's separate last
pass. "scores" has the correct query images of each episode in the last of these passes. "probe" is a
`trainers.maml.probes.Probe`.
"""

from collections.abc import Mapping
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Score = TypeVar("Score")


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class _TrainingValue(_Form):
    query_loss: float
    query_accuracy: float


class _Heads(_Form, Generic[Score]):
    """One score for each number of inner steps from 0, for each head. At least one of the two heads is present."""

    # may be absent, never null: pydantic does not check a default
    trained: Annotated[list[Score], Field(min_length=1)] = Field(default=None)  # type: ignore[arg-type]
    zeroed: Annotated[list[Score], Field(min_length=1)] = Field(default=None)  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not self.model_fields_set & {"trained", "zeroed"}:
            raise ValueError("neither head is present, trained or zeroed")
        return self


class _EvaluationValue(_Form):
    split: Literal["val", "test"]
    episodes: PositiveInt
    accuracy: _Heads[float | None]
    sd: _Heads[float | None]


class _ScoresValue(_Form):
    queries: PositiveInt
    correct: _Heads[list[int]]


Number = float | None
"""None stands for a number that was not finite."""


class _Orders(_Form, Generic[Score]):
    """The values of a probe for each order that it computed. At least one of the two orders is present."""

    # may be absent, never null
    first: Score = Field(default=None)  # type: ignore[assignment]
    second: Score = Field(default=None)  # type: ignore[assignment]

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not self.model_fields_set & {"first", "second"}:
            raise ValueError("neither order is present, first or second")
        return self


class _SetPull(_Form):
    gradient: Number
    same: Number
    other: Number


class _Pull(_Form):
    support: _SetPull
    query: _SetPull


class _ProbeValue(_Form):
    """See `trainers.maml.probes.Probe`."""

    cosine: list[list[Number]]
    positive: list[float]
    negative: list[float]
    head_norm: Number
    interference_norm: list[Number]
    contrastive_norm: list[Number]
    gradient_norm: _Orders[list[Number]]
    layer_change: dict[str, Number]
    feature_change: Number
    smallest_variance: list[Number]
    smallest_live_variance: list[Number]
    flat_channels: list[float]
    # absent from older probes, never null
    feature_pull: _Orders[_Pull] = Field(default=None)  # type: ignore[arg-type]


FORMS: Mapping[str, type[BaseModel]] = {
    "training": _TrainingValue,
    "evaluation": _EvaluationValue,
    "evaluation_val": _EvaluationValue,
    "final": _EvaluationValue,
    "probe": _ProbeValue,
    "scores": _ScoresValue,
}
