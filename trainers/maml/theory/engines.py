"""The engines against each other in float64, for every variant, and each against itself in float32.

Every combination of options goes through the engines on a network of few channels; the setting's own network goes
through them once for each algorithm and order. A control shows that the comparison detects the batching rule that
loses second-order gradients.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainers.maml.adapt import transform_gradient
from trainers.maml.config import Order, TrialConfig
from trainers.maml.engines.engines import LoopEngine, build
from trainers.maml.engines.outcomes import outcome_of
from trainers.maml.engines.table import EngineName, cannot_treat
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.layout import image_shape
from trainers.maml.method_fields import Algorithm
from trainers.maml.model import model_of
from trainers.maml.networks import Params, initial_params, native_norm, reference_norm, split_norm
from trainers.maml.theory.cases import holds, informs, largest
from trainers.maml.theory.claim import Claim, Setting

BOUND = 1e-10
SINGLE = 1e-2
"""The error of float32 that rounding and a crossed kink stay below; a lower precision or a wrong kernel does not."""

ALGORITHMS: tuple[Algorithm, ...] = ("maml", "anil", "contrastive")
"""Those of the paper."""
ORDERS: tuple[Order, ...] = ("first", "second")
ENGINES: tuple[EngineName, ...] = ("loop", "fused", "compiled", "vmap")

BIAS = {"head_bias": (True, False)}
NETWORKS = BIAS | {
    "network": ("conv4_strided", "conv4_pooled"),
    "net_order": ("relu_bn", "bn_relu"),
    "batch_norm": ("transductive", "inductive"),
}
LOSSES = {"loss": ("cross_entropy", "squared_error")}
RATE_OF_LOSS = {"cross_entropy": 0.1, "squared_error": 0.01}
"""A sum of squares is steeper than a mean: at 0.1 its inner loop diverges and amplifies rounding."""

EXPLICIT = {
    "interference": (True, False),
    "coefficient": ("full", "reduced"),
    "head_update": ("paper", "released"),
}
FEW = {"channels": 3, "ways": 3, "shots": 2, "queries": 2, "meta_batch_size": 2, "inner_lr": 0.1}


class Step(NamedTuple):
    """The input of an engine for one outer step of one run: parameters stacked on R = 1, and E episodes."""

    params: Params
    episodes: Episode
    inner_lr: Tensor

    def to(self, dtype: torch.dtype) -> "Step":
        """Return the same numbers as `dtype`."""
        params = {name: value.to(dtype) for name, value in self.params.items()}
        shown = self.episodes
        images = {"support_images": shown.support_images.to(dtype), "query_images": shown.query_images.to(dtype)}
        return Step(params, shown._replace(**images), self.inner_lr.to(dtype))

    def channels_last(self) -> "Step":
        """Return the same numbers, with images and convolution weights in channels-last layout."""
        params = {name: _channels_last(value) if value.dim() == 5 else value for name, value in self.params.items()}
        support, query = (_channels_last(images) for images in (self.episodes[0], self.episodes[2]))
        return Step(params, self.episodes._replace(support_images=support, query_images=query), self.inner_lr)

    def gradient(self, engine: EngineName, config: TrialConfig, episode: int | None = None) -> Params:
        """Return the outer gradient by `engine`: of all episodes, or of `episode` alone."""
        shown = self.episodes
        if episode is not None:
            shown = Episode(*(part[episode : episode + 1] for part in shown))
        return build(engine, config).meta_gradient(self.params, [shown], self.inner_lr, [True]).gradient


def first_step(setting: Setting, config: TrialConfig) -> Step:
    """Return the first outer step of `config` on the setting's pixels."""
    params = {name: value[None] for name, value in initial_params(config).items()}
    lr = torch.tensor([config.inner_lr], dtype=getattr(torch, config.dtype))
    return Step(params, gather(training_draw(config, 0), setting.pixels, config), lr)


def _channels_last(images: Tensor) -> Tensor:
    return images.movedim(2, -1).contiguous().movedim(-1, 2)


def before_norm(config: TrialConfig, name: str) -> bool:
    """Return whether batch norm cancels parameter `name`, so that its gradient is zero or as small as `bn_eps`.

    It cancels the bias of a layer before it, and the scale of a 1x1 convolution of grey images.
    """
    if name == "block1.shortcut.weight":
        return image_shape(config)[0] == 1
    return config.net_order == "bn_relu" and name.startswith(("conv", "linear")) and name.endswith(".bias")


def difference(config: TrialConfig, found: Params, expected: Params) -> float:
    """Return the largest relative difference of a tensor of two gradients; NaN if any is NaN.

    A gradient that is zero by algebra, or zero in `expected`, has only rounding as its norm. So its tensor is compared
    with the norm of the whole gradient.
    """
    whole = _flat(expected).norm()
    gaps = []
    for name, value in expected.items():
        idle = before_norm(config, name) or not value.any()
        gaps.append((found[name] - value).norm() / (whole if idle else value.norm()))
    return float(torch.stack(gaps).max())


def variants(algorithm: Algorithm, order: Order) -> Iterator[dict[str, Any]]:
    """Yield every variant of one algorithm in one order.

    MAML and ANIL: all combinations of network, head bias, net order, batch norm, loss and 0 to 2 inner steps (no step
    has no order, and is among the first-order ones). The explicit loss: all networks at its default options, and all
    its options with and without a head bias at the default network, at 1 and 2 inner steps (second order: 1).
    """
    if algorithm != "contrastive":
        for options in _grid(NETWORKS | LOSSES | {"inner_steps": (0, 1, 2) if order == "first" else (1, 2)}):
            yield options | {"inner_lr": RATE_OF_LOSS[options["loss"]]}
    elif order == "first":
        yield from _grid(NETWORKS | {"inner_steps": (1, 2)})
        yield from _grid(BIAS | EXPLICIT | {"inner_steps": (1, 2)})
    else:
        yield from _grid(NETWORKS | {"inner_steps": (1,)})
        yield from _grid(BIAS | EXPLICIT | {"second_order_form": ("exact", "printed"), "inner_steps": (1,)})


def _grid(options: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in product(*options.values()):
        yield dict(zip(options, values, strict=True))


def engines_agree(setting: Setting) -> list[Claim]:
    """Return a row for each algorithm, order and engine that has them, over all variants: the engine equals the loop.

    The loop and the vectorised engine share torch's native batch norm, whose own error for a nearly constant channel is
    about 1e-10 of the gradient in float64. So the others are compared with a loop with batch norm written out.
    """
    return [
        agreement(setting, algorithm, order, engine)
        for algorithm, order, engine in product(ALGORITHMS, ORDERS, ENGINES[1:])
        if not cannot_treat(engine, setting.variant(algorithm=algorithm, order=order, inner_steps=1), "cpu")
    ]


def agreement(setting: Setting, algorithm: Algorithm, order: Order, engine: EngineName) -> Claim:
    """Return the row of one algorithm in one order by one engine."""
    own = {"inner_steps": 1 if algorithm == "contrastive" else 2}
    every = [own, *(FEW | options for options in variants(algorithm, order))]
    errors = []
    for options in every:
        config = setting.variant(**options | {"algorithm": algorithm, "order": order})
        step = first_step(setting, config)
        expected = step.gradient("loop", config) if engine == "vmap" else written_out(step, config)
        errors.append(difference(config, step.gradient(engine, config), expected))
    words = {
        "vmap": "as vectorised",
        "fused": "with batch norm written out as with fused blocks",
        "compiled": "with batch norm written out as by whole compiled passes",
    }
    return Claim(
        statement=f"One outer step of {algorithm} in {order} order has the same gradient in a loop over episodes "
        f"{words[engine]}, in every variant.",
        source="ours",
        computed=f"worst tensor, relative, of {len(every) - 1} variants on a network of {FEW['channels']} channels and "
        f"of the setting's own ({errors[0]:.1e})",
        error=largest(errors),
        bound=BOUND,
    )


def written_out(step: Step, config: TrialConfig) -> Params:
    """Return the gradient by a loop over episodes, with batch norm computed by its formula."""

    def normalise(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return reference_norm(x, scale, shift, eps=config.bn_eps, reference=len(x))

    engine = LoopEngine(config, model_of(config, normalise))
    return engine.meta_gradient(step.params, [step.episodes], step.inner_lr, [True]).gradient


def native_batch_norm(setting: Setting) -> list[Claim]:
    """Return the control: with the native affine batch norm, vectorised second order is silently wrong."""
    config = setting.variant(algorithm="maml", order="second", batch_norm="transductive", inner_steps=1)
    step = first_step(setting, config)
    expected = step.gradient("loop", config)
    split, native = (
        difference(config, _vectorised(step, config, norm), expected) for norm in (split_norm, native_norm)
    )
    return [
        Claim(
            statement="Vectorised second order equals the loop with the affine part inside the native batch norm.",
            source="ours, control",
            computed=f"worst tensor, relative; with the affine part outside it is {split:.1e}",
            error=native,
            bound=BOUND,
            should="fail",
        )
    ]


def _vectorised(step: Step, config: TrialConfig, normalise: Callable[..., Tensor]) -> Params:
    """Return the vectorised engine's gradient with another batch norm in the network."""
    outcome = outcome_of(config, model_of(config, partial(normalise, eps=config.bn_eps)), transform_gradient)

    def objective(own: Params) -> Tensor:
        each = torch.func.vmap(lambda episode: outcome(own, episode, config.inner_lr).objective)
        return each(step.episodes).mean()

    gradient = torch.func.grad(objective)({name: value[0] for name, value in step.params.items()})
    return {name: value[None] for name, value in gradient.items()}


def single_precision(setting: Setting) -> list[Claim]:
    """Return how far float32 is from float64 for each engine and layout of the images, from equal numbers.

    Engines get contiguous images, so that layout is judged. The other one is information: PyTorch's own batch norm is
    less exact there.
    """
    single = setting.variant(algorithm="maml", order="second", inner_steps=2, dtype="float32")
    double = setting.variant(**single.model_dump() | {"dtype": "float64"})
    step = first_step(setting, single)
    exact = step.to(torch.float64)
    references = [_flat(exact.gradient("loop", double, e)) for e in range(single.meta_batch_size)]
    claims = []
    layouts = {"contiguous": step, "channels-last": step.channels_last()}
    for engine, layout in product(ENGINES, layouts):
        found = [_flat(layouts[layout].gradient(engine, single, e)) for e in range(single.meta_batch_size)]
        errors = torch.stack([(one - true).norm() / true.norm() for one, true in zip(found, references, strict=True)])
        what = f"engine {engine}, {layout} images: the gradient of an episode, second-order MAML at 2 inner steps."
        computed = (
            f"median relative error of {len(errors)} episodes from equal float32 numbers; the largest is "
            f"{float(errors.max()):.1e}"
        )
        median = float(errors.quantile(0.5))
        if layout == "contiguous":
            statement = f"Float32 is within {SINGLE:.0%} of float64, {what}"
            claims.append(holds(statement, "ours", computed, median, SINGLE))
        else:
            claims.append(informs(f"Float32 against float64, {what}", "ours", computed, median))
    return claims


def _flat(gradient: Params) -> Tensor:
    return torch.cat([value.flatten() for value in gradient.values()]).to(torch.float64)


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (engines_agree, native_batch_norm, single_precision)
