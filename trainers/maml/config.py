"""The complete description of one trial's training: fields, bounds, defaults, and the errors of an invalid config.

Loads no torch. Every field except `outer_steps` is part of a trial's identity. A default may never change (raise a
recipe instead), because only fields that differ from their default enter the identity.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from trainers.data.catalog import OmniglotSplit, Split
from trainers.data.class_names import named_classes
from trainers.data.facts import facts_of, fewest_images, split_rows
from trainers.data.known_name import KnownName
from trainers.fields import problems_of
from trainers.maml.method_fields import Algorithm, InnerRates, QueryLosses, impossible_methods
from trainers.maml.network_names import DESCRIPTION, ORDERED, NetworkName, short_name
from trainers.trainer import ConfigError, Problem

Order = Literal["first", "second"]
NetOrder = Literal["relu_bn", "bn_relu"]
BatchNorm = Literal["transductive", "inductive"]
LossName = Literal["cross_entropy", "squared_error"]
Arithmetic = Literal["full", "tf32", "bf16"]
LabelRule = Literal["random", "groups", "consecutive"]
Head = Literal["trained", "zeroed"]
HEADS: tuple[Head, ...] = ("trained", "zeroed")

LEAST_SIDE = {"conv4_strided": 23, "conv4_pooled": 16, "resnet12": 16}
"""The least height and width of an image that leaves a network a feature."""

PACKABLE = frozenset({"seed", "zero_head_every", "head_scale", "inner_lr", "outer_lr"})
"""The fields in which trials of one pack may differ."""

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False), AfterValidator(lambda value: value + 0.0)]
"""A number from 0. Adding 0.0 turns -0.0 into 0.0, which is the same number and must give the same identity."""


class TrialConfig(BaseModel):
    """One trial, fully resolved. Counts are plural nouns; rates are per step; accuracies are fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: KnownName
    omniglot_split: OmniglotSplit = Field("1200/423", description="classes for train/test, or train/val/test")
    network: NetworkName = Field("conv4_strided", description=DESCRIPTION)
    channels: Positive = Field(
        64, description="filters of each convolution of Conv-4; the others have multiples of it (docs/own_network.md)"
    )
    head_bias: bool = Field(True, description="whether the linear head has a bias")
    net_order: NetOrder = Field(
        "relu_bn", description="ReLU before batch norm as in the paper's released code, or after it as printed"
    )
    bn_eps: Rate = Field(1e-5, description="added to the variance in batch norm")
    batch_norm: BatchNorm = Field(
        "transductive",
        description="query images are normalised by their own batch, or (inductive) by the support set's",
    )

    algorithm: Algorithm = Field(
        "maml",
        description="maml adapts every parameter, anil only the head, boil all but the head; contrastive is anil by "
        "the explicit loss; reptile and imaml adapt every parameter and have outer gradients of their own",
    )
    loss: LossName = Field(
        "cross_entropy", description="mean cross-entropy, or half the sum of squared errors to one-hot labels"
    )
    order: Order = Field("second", description="whether the outer gradient passes through the inner gradients")
    ways: Annotated[int, Field(ge=2)] = Field(5, description="classes per episode")
    shots: Positive = Field(1, description="support images per class")
    queries: Positive = Field(15, description="query images per class")
    inner_steps: NotNegative = Field(5, description="gradient steps on the support set in training")
    inner_lr: Rate = Field(0.01, description="step size of the inner loop's SGD, in training and at test")
    inner_rates: InnerRates = Field(
        "fixed",
        description="inner_lr at every step, or rates that begin there and are learned: one for each number of the "
        "adapted parameters (Meta-SGD), or one for each layer and inner step (MAML++)",
    )
    query_losses: QueryLosses = Field(
        "last_step",
        description="the outer loss is the query loss after the last inner step, or a weighted sum of those after each "
        "inner step (MAML++)",
    )
    annealed_steps: NotNegative = Field(
        0,
        description="only for query_losses every_step: outer steps in which the weight moves to the last inner step; "
        "0: all inner steps weigh alike for ever",
    )
    proximal: Rate = Field(
        1.0, description="only for imaml: lambda, the strength of the pull back to the initial parameters"
    )
    cg_steps: Positive = Field(5, description="only for imaml: conjugate gradient steps of an outer gradient")
    reptile_shots: Positive | None = Field(
        None,
        description="only for reptile: images of a class in the minibatch of one inner step of training; null: as many "
        "as shots",
    )
    head_scale: Factor = Field(
        1.0, description="factor on the head's initial weight and bias; 0 starts from a zero head"
    )
    zero_head_every: NotNegative = Field(
        0,
        description="set the head to zero before every n-th outer step; 0: never, 1: the paper's zeroing trick",
    )

    zero_head_when: Literal["before_inner_loop", "after_update"] = Field(
        "before_inner_loop",
        description="when the head is zeroed: as in the released code, or after the outer update (and once at the "
        "start) as in the paper's Algorithm; the encoder trains the same way",
    )
    zero_head_adam: Literal["kept", "reset"] = Field(
        "kept", description="Adam's moments of the head when it is zeroed: kept as in the paper, or reset to zero"
    )
    interference: bool = Field(True, description="only for contrastive: whether the loss has the interference term")
    coefficient: Literal["full", "reduced"] = Field(
        "full",
        description="only for contrastive: the coefficient of Eqs. 7 and 8, or the noise-free one of Eqs. 9 and 10",
    )
    second_order_form: Literal["exact", "printed"] = Field(
        "exact",
        description="only for contrastive, second order: Eq. 8 in exact form, or with the whole coefficient stopped",
    )
    head_update: Literal["paper", "released"] = Field(
        "paper",
        description="only for contrastive: the head follows Eq. 5 (second order: Eq. 11), or never changes, as in the "
        "released code",
    )

    meta_batch_size: Positive = Field(4, description="episodes per outer step")
    outer_lr: Rate = Field(0.001, description="step size of the outer loop's Adam")
    outer_steps: Positive = Field(
        1000, description="total outer steps; may grow later, because it is not part of the identity"
    )
    episode_pool: NotNegative = Field(
        0,
        description="training episodes that are drawn once and revisited; 0 draws new ones at every step",
    )

    train_split: Literal["train", "test"] = Field(
        "train", description="classes that training draws from; test only for Fig. 2, which trains on one test task"
    )
    train_classes: str = Field(
        "",
        max_length=2000,
        description="classes that training draws from, instead of a split's: WordNet ids of mini-ImageNet or numbers, "
        "separated by blanks; Fig. 11 has five breeds of dog",
    )
    label_rule: LabelRule = Field(
        "random",
        description="labels are drawn for each episode, or are a function of the class (memorisation): one class of "
        "each of N fixed groups, or N consecutive classes",
    )
    rotations: bool = Field(
        False, description="training classes rotated by 90, 180 and 270 degrees are additional classes"
    )

    eval_split: Literal["val", "test", "both"] = Field(
        "test", description="classes that evaluations draw from; both: each evaluation scores val and test"
    )
    eval_every: NotNegative = Field(0, description="outer steps between evaluations; 0: only at the end")
    eval_episodes: Positive = Field(400, description="episodes of the fixed list that every evaluation scores")
    eval_steps: NotNegative | None = Field(
        None, description="inner steps at evaluation, scored after each; null: as many as inner_steps"
    )

    eval_adapts: Literal["all", "head"] | None = Field(
        None, description="parameters that the inner loop updates at evaluation; null: as in training"
    )
    eval_heads: Literal["both", "trained", "zeroed"] = Field(
        "both", description="the head from which evaluations adapt: as trained, set to zero, or both separately"
    )
    eval_each_step: bool = Field(
        True, description="evaluations score after each inner step from 0, or (false) only after the last"
    )
    final_episodes: NotNegative = Field(
        0,
        description="test episodes of a separate last pass, which scores each inner step with both heads; 0: no "
        "such pass",
    )
    final_steps: NotNegative | None = Field(
        None, description="inner steps that the last pass scores, from 0; null: as many as evaluations take"
    )
    probe_every: NotNegative = Field(0, description="outer steps between probes of the training; 0: never")
    probe_first: NotNegative = Field(
        0, description="outer step of the first probe; others follow every probe_every; Fig. 2 has 1, 11, 21, ..."
    )
    probe_episodes: Positive = Field(8, description="fixed training episodes that probes measure")
    probe_orders: Literal["both", "own"] = Field(
        "both", description="outer gradients that probes compute: of both orders, or only of the trial's order"
    )

    dtype: Literal["float32", "float64"] = Field("float32", description="precision of all numbers")
    arithmetic: Arithmetic = Field(
        "full", description="products at the precision of dtype, or on a GPU in TF32 (10 bits) or bf16 (7 bits)"
    )
    seed: NotNegative = Field(0, description="root of every random stream of the trial")

    @property
    def eval_splits(self) -> "tuple[Literal['val', 'test'], ...]":
        """The splits that an evaluation scores, in that order; a last pass scores the last of them."""
        return ("val", "test") if self.eval_split == "both" else (self.eval_split,)

    @property
    def scored_steps(self) -> int:
        """Inner steps that evaluations take."""
        return self.inner_steps if self.eval_steps is None else self.eval_steps

    @property
    def final_scored_steps(self) -> int:
        """Inner steps that the last pass takes; it scores after 0..final_scored_steps of them."""
        return self.scored_steps if self.final_steps is None else self.final_steps


def shared_by_pack(config: TrialConfig) -> tuple[tuple[str, Any], ...]:
    """Return what trials of one pack must share: names and values of all fields not in PACKABLE."""
    return tuple((name, value) for name, value in config if name not in PACKABLE)


_CONTRASTIVE_ALONE = {
    name: TrialConfig.model_fields[name].default
    for name in ("interference", "coefficient", "second_order_form", "head_update")
}


def resolve(values: Mapping[str, Any]) -> TrialConfig:
    """Return the config of `values` (plain field names to plain values).

    Raises ConfigError with every field that is unknown, missing, of the wrong type or out of bounds, or with every
    impossible combination (more images of a class than it has, more ways than classes).
    """
    try:
        config = TrialConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(problems_of(error)) from None
    problems = tuple(_impossible(config))
    if problems:
        raise ConfigError(problems)
    return config


def _impossible(config: TrialConfig) -> list[Problem]:
    problems = [*_impossible_objective(config), *_impossible_labels(config), *_impossible_classes(config)]
    problems += [Problem(*found) for found in impossible_methods(dict(config))]
    ranges = split_rows(config.dataset, config.omniglot_split)
    problems += _impossible_images(config, ranges)
    problems += _impossible_network(config)
    if not set(config.eval_splits) <= ranges.keys():
        what = f"{config.dataset} split {config.omniglot_split}" if config.dataset == "omniglot" else config.dataset
        instead = ", or omniglot_split 1028/172/423" if config.dataset == "omniglot" else ""
        problems.append(Problem("eval_split", f"{what} has no validation classes; use test{instead}"))
    else:
        fewest = min(len(ranges[split]) for split in (config.train_split, *config.eval_splits))
        if config.ways > fewest:
            problems.append(
                Problem("ways", f"{config.ways} ways, but {config.dataset} has a split of {fewest} classes")
            )
    if config.arithmetic != "full" and config.dtype == "float64":
        problems.append(Problem("arithmetic", f"{config.arithmetic}, but dtype is float64; leave one of the two out"))
    if config.probe_first and not config.probe_every:
        problems.append(
            Problem("probe_first", f"{config.probe_first}, but probe_every is 0, so no probe is ever taken")
        )
    if config.final_steps is not None and not config.final_episodes:
        problems.append(
            Problem("final_steps", f"{config.final_steps}, but final_episodes is 0, so no last pass is ever made")
        )
    if config.omniglot_split != "1200/423" and config.dataset != "omniglot":
        problems.append(Problem("omniglot_split", f"{config.omniglot_split} has no meaning for {config.dataset}"))
    return problems


def _impossible_images(config: TrialConfig, ranges: Mapping[Split, range]) -> list[Problem]:
    facts, wanted = facts_of(config.dataset), config.shots + config.queries
    problems = []
    scored = [row for split in config.eval_splits for row in ranges.get(split, ())]
    fewest, row = fewest_images(config.dataset, [*ranges[config.train_split], *scored])
    if wanted > fewest:
        of = f"class {facts.class_names[row]}" if facts.class_names else "a class"
        problems.append(
            Problem(
                "shots",
                f"shots + queries = {config.shots} + {config.queries} = {wanted}, but {config.dataset} has {fewest} "
                f"images of {of}; lower shots or queries",
            )
        )
    least = LEAST_SIDE.get(config.network, 1)
    if facts.image_shape[1] < least:
        height, width = facts.image_shape[1:]
        problems.append(
            Problem(
                "network",
                f"{config.network} needs images of {least}x{least} or more, and {config.dataset} has {height}x{width}; "
                "choose another network, or add the data set with a larger --size",
            )
        )
    return problems


def _impossible_network(config: TrialConfig) -> list[Problem]:
    network = config.network
    if network not in ORDERED and config.net_order != TrialConfig.model_fields["net_order"].default:
        why = f"{config.net_order} has no meaning for network {short_name(network)}, which has an order of its own"
        return [Problem("net_order", f"{why}; leave it out")]
    if network == "resnet12" and config.channels % 2:
        return [
            Problem("channels", f"{config.channels}, but resnet12 has 2.5 times as many filters in its second block")
        ]
    return []


def _impossible_objective(config: TrialConfig) -> list[Problem]:
    if config.algorithm != "contrastive":
        changed = [name for name, default in _CONTRASTIVE_ALONE.items() if getattr(config, name) != default]
        given = {name: getattr(config, name) for name in changed}
        return [
            Problem(name, f"{'false' if value is False else repr(value)} is only for algorithm contrastive")
            for name, value in given.items()
        ]
    problems = []
    if config.inner_steps < 1 or (config.order == "second" and config.inner_steps > 1):
        allowed = "exactly 1" if config.order == "second" else "at least 1"
        problems.append(
            Problem("inner_steps", f"{config.inner_steps}, but contrastive in {config.order} order needs {allowed}")
        )
    if config.loss != "cross_entropy":
        problems.append(Problem("loss", f"{config.loss}, but contrastive is derived from cross_entropy"))
    return problems


def _impossible_classes(config: TrialConfig) -> list[Problem]:
    if not config.train_classes:
        return []
    try:
        count = len(named_classes(config.dataset, config.train_classes))
    except ValueError as error:
        return [Problem("train_classes", str(error))]
    if count < config.ways:
        return [Problem("train_classes", f"{count} classes, but an episode needs {config.ways}; name more")]
    apart = {"train_split": "train", "label_rule": "random", "rotations": False}
    changed = {name: getattr(config, name) for name, usual in apart.items() if getattr(config, name) != usual}
    return [
        Problem(name, f"{str(value).lower()} has no meaning where train_classes names the classes; leave it out")
        for name, value in changed.items()
    ]


def _impossible_labels(config: TrialConfig) -> list[Problem]:
    if not config.rotations:
        return []
    if config.dataset == "mini_imagenet":
        return [
            Problem(
                "rotations", "true, but a rotated photograph is not a new class; use rotations with characters only"
            )
        ]
    if config.label_rule != "random":
        return [Problem("rotations", f"true, but rotations need label_rule random, and it is {config.label_rule}")]
    return []
