"""The complete description of one trial's training: fields, bounds, defaults, and the errors of a config that can't be.

Loads no torch. Every field but `outer_steps` is part of a trial's identity; a default may never change (raise a
recipe instead), because only fields that differ from their default enter the identity.
"""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainers.catalog import CATALOG, DatasetName, OmniglotSplit, class_ranges

Algorithm = Literal["maml", "anil"]
Order = Literal["first", "second"]
Head = Literal["trained", "zeroed"]
HEADS: tuple[Head, ...] = ("trained", "zeroed")

PACKABLE = frozenset({"seed", "zero_head_every", "head_scale", "inner_lr", "outer_lr"})
"""Fields in which trials that train together as one pack may differ."""

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Problem(NamedTuple):
    """One thing wrong with a config: the field it is about, and a sentence with the value and what is allowed."""

    field: str
    message: str


class ConfigError(ValueError):
    """A config that can't be; `problems` has every reason, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


class TrialConfig(BaseModel):
    """One trial, fully resolved. Counts are plural nouns; rates are per step; accuracies are fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: DatasetName
    omniglot_split: OmniglotSplit = Field("1200/423", description="classes for train/test, or train/val/test")
    network: Literal["conv4_strided", "conv4_pooled"] = Field(
        "conv4_strided", description="Conv-4 with strides (Omniglot) or with 2x2 max-pooling (mini-ImageNet)"
    )
    channels: Positive = Field(64, description="filters of each convolution")
    head_bias: bool = Field(True, description="whether the linear head has a bias")

    algorithm: Algorithm = Field("maml", description="maml adapts every parameter, anil the head alone")
    order: Order = Field("second", description="whether the outer gradient passes through the inner gradients")
    ways: Annotated[int, Field(ge=2)] = Field(5, description="classes of an episode")
    shots: Positive = Field(1, description="support images of each class")
    queries: Positive = Field(15, description="query images of each class")
    inner_steps: NotNegative = Field(5, description="gradient steps on the support set in training")
    inner_lr: Rate = Field(0.01, description="step size of the inner loop's SGD, in training and at test")
    head_scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0, description="factor on the head's initial weight and bias; 0 is zero-init"
    )
    zero_head_every: NotNegative = Field(
        0, description="set the head to zero before every n-th outer step; 0 is never, 1 the paper's zeroing trick"
    )

    meta_batch_size: Positive = Field(4, description="episodes of an outer step")
    outer_lr: Rate = Field(0.001, description="step size of the outer loop's Adam")
    outer_steps: Positive = Field(1000, description="outer steps to train to; growable, no part of the identity")
    episode_pool: NotNegative = Field(0, description="training episodes drawn once and revisited; 0 is fresh episodes")

    eval_split: Literal["val", "test"] = Field("test", description="classes that evaluations draw from")
    eval_every: NotNegative = Field(0, description="outer steps between evaluations; 0 is only at the end")
    eval_episodes: Positive = Field(400, description="episodes of the fixed list every evaluation scores")
    eval_steps: NotNegative | None = Field(
        None, description="inner steps taken at evaluation, scored after each; null is as many as inner_steps"
    )

    dtype: Literal["float32", "float64"] = Field("float32", description="precision of all arithmetic")
    seed: NotNegative = Field(0, description="root of every random stream of the trial")

    @property
    def scored_steps(self) -> int:
        """Inner steps taken at evaluation; accuracies exist after 0..scored_steps of them."""
        return self.inner_steps if self.eval_steps is None else self.eval_steps


def resolve(values: dict[str, Any]) -> TrialConfig:
    """Return the config of `values` (plain field names to plain values).

    Raises ConfigError with every field that is unknown, missing, of the wrong type or out of bounds, and with every
    combination that can't be (more images asked of a class than it has, more ways than classes).
    """
    try:
        config = TrialConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(tuple(_problem(details) for details in error.errors(include_url=False))) from None
    problems = tuple(_impossible(config))
    if problems:
        raise ConfigError(problems)
    return config


def _problem(details: Any) -> Problem:
    field = str(details["loc"][0])
    if details["type"] == "extra_forbidden":
        return Problem(field, "unknown field")
    if details["type"] == "missing":
        return Problem(field, "required and not given")
    message = details["msg"].removeprefix("Input ")
    return Problem(field, f"{message}, got {details['input']!r}")


def _impossible(config: TrialConfig) -> list[Problem]:
    facts = CATALOG[config.dataset]
    problems = []
    if config.shots + config.queries > facts.images_per_class:
        problems.append(
            Problem(
                "shots",
                f"shots + queries = {config.shots} + {config.queries} = {config.shots + config.queries}, but "
                f"{config.dataset} has {facts.images_per_class} images of a class; lower shots or queries",
            )
        )
    ranges = class_ranges(config.dataset, config.omniglot_split)
    if config.eval_split not in ranges:
        problems.append(
            Problem(
                "eval_split",
                f"{config.dataset} split {config.omniglot_split} has no validation classes; use test, or "
                "omniglot_split 1028/172/423",
            )
        )
    else:
        fewest = min(len(ranges["train"]), len(ranges[config.eval_split]))
        if config.ways > fewest:
            problems.append(
                Problem("ways", f"{config.ways} ways, but {config.dataset} has a split of {fewest} classes")
            )
    if config.omniglot_split != "1200/423" and config.dataset != "omniglot":
        problems.append(Problem("omniglot_split", f"{config.omniglot_split} has no meaning for {config.dataset}"))
    return problems
