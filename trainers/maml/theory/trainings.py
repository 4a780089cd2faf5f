"""Theorem 1, Corollary 1 and extensions, as trainings: does other code train the same encoder from the same start?

Encoders are compared after 20 Adam steps in float64, tensor by tensor, relative to how far training moved them. Tensors
that training doesn't move are left out. So are convolution biases before batch norm: their gradient is zero up to
rounding, which Adam turns into steps of full size. An encoder that never moves supports no claim: the error is NaN.
"""

import math
from collections import ChainMap
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch

from trainers.maml.config import Order, TrialConfig
from trainers.maml.engines.table import EngineName
from trainers.maml.networks import HEAD, Params, initial_params
from trainers.maml.theory.cases import largest
from trainers.maml.theory.claim import Claim, Expected, Setting
from trainers.maml.theory.engines import before_norm
from trainers.maml.train import train

STEPS = 20
BOUND = 1e-8
APART = f"encoder after {STEPS} Adam steps, worst tensor: distance relative to its change"
BITS = f"entries of the encoder that differ after {STEPS} Adam steps"

ORDERS: tuple[Order, ...] = ("first", "second")
EXPLICIT = {"algorithm": "contrastive"}
REDUCED = {"interference": False, "coefficient": "reduced"}
ZEROED = {"zero_head_every": 1, "inner_steps": 1}
RANDOM = {"zero_head_every": 0, "inner_steps": 1}


class Training(NamedTuple):
    """A config and its parameters after 20 outer steps."""

    config: TrialConfig
    params: Params

    def apart(self, other: "Training") -> float:
        """Return the largest distance of an encoder tensor from that of `other`, relative to its change in `other`.

        NaN if an encoder never moved.
        """
        if self.idle() or other.idle():
            return math.nan
        initial = initial_params(other.config)
        gaps = [0.0]
        for name in initial:
            if name in HEAD or before_norm(other.config, name):
                continue
            change = float((other.params[name] - initial[name]).norm())
            gap = float((self.params[name] - other.params[name]).norm())
            if change != 0 or gap != 0:
                gaps.append(gap / change if change != 0 else float("inf"))
        return largest(gaps)

    def differing(self, other: "Training", part: Literal["encoder", "head"]) -> float:
        """Return how many entries of the whole encoder, or of the head, are not the bits of `other`.

        NaN if an encoder never moved.
        """
        if self.idle() or other.idle():
            return math.nan
        names = [name for name in self.params if (name in HEAD) == (part == "head")]
        return sum(int((self.params[name] != other.params[name]).sum()) for name in names)

    def idle(self) -> bool:
        """Return whether no entry of the encoder has left its start."""
        initial = initial_params(self.config)
        return all(torch.equal(self.params[name], initial[name]) for name in initial if name not in HEAD)


ENGINE: dict[str, EngineName] = {"cpu": "fused", "cuda": "vmap"}
"""The engine of all trainings: one that has every loss, so that bits of two losses can be compared."""


def trained(setting: Setting, *changes: dict[str, Any]) -> Training:
    """Return a training of the setting's config by EFIL MAML, 2 episodes a step, with `changes`; later ones override.

    Raises ValueError if the training diverges, because it then supports no claim.
    """
    plain = {"algorithm": "anil", "loss": "cross_entropy", "head_scale": 1.0}
    short = {"outer_steps": STEPS, "meta_batch_size": 2, "eval_every": 0, "eval_episodes": 1, "eval_steps": 0}
    config = setting.variant(**ChainMap(*reversed(changes), short, plain))
    *_, last = train([config], setting.pixels, engine=ENGINE[setting.pixels.device.type])
    if last.runs[0].status != "done":
        raise ValueError(f"{last.runs[0].message}, and a claim needs {STEPS} steps; lower inner_lr or outer_lr")
    return Training(config, last.states()[0].params)


def theorem_1(setting: Setting) -> list[Claim]:
    """Return the rows for a random head: explicit losses that train what EFIL MAML trains, and two that must not."""
    rows: tuple[tuple[Order, int, str, dict[str, Any], Expected], ...] = (
        ("first", 1, "Eq. 7 with the head by Eq. 5", {}, "hold"),
        ("first", 1, "Eq. 7 with the head never updated, as released,", {"head_update": "released"}, "fail"),
        ("first", 2, "Eq. 7 with the head by Eq. 5", {}, "hold"),
        ("second", 1, "Eq. 8 in its exact form with the head by Eq. 11", {}, "hold"),
        ("second", 1, "Eq. 8 as printed with the head by Eq. 11", {"second_order_form": "printed"}, "fail"),
    )
    efil = {
        (order, steps): trained(setting, RANDOM, {"order": order, "inner_steps": steps})
        for order, steps in dict.fromkeys(row[:2] for row in rows)
    }
    claims = []
    for order, steps, loss, changes, should in rows:
        explicit = trained(setting, RANDOM, {"order": order, "inner_steps": steps}, EXPLICIT, changes)
        claims.append(
            Claim(
                statement=f"Random head, {order} order, {_steps(steps)}: {loss} trains the encoder EFIL MAML trains.",
                source="Theorem 1" if should == "hold" else "Theorem 1, control",
                computed=APART,
                error=explicit.apart(efil[order, steps]),
                bound=BOUND,
                should=should,
            )
        )
    return claims


def corollary_1(setting: Setting) -> list[Claim]:
    """Return the rows for a head zeroed at every step: Eqs. 9 and 10 train what EFIL MAML trains."""
    claims = []
    for order, equation in zip(ORDERS, ("Eq. 9", "Eq. 10"), strict=True):
        zeroed = ZEROED | {"order": order}
        efil = trained(setting, zeroed)
        for head, words in (("paper", "the head updated between zeroings"), ("released", "the head never updated")):
            explicit = trained(setting, zeroed, EXPLICIT, REDUCED, {"head_update": head})
            claims.append(
                Claim(
                    statement=f"Head zeroed every step, {order} order, one inner step: {equation} trains the encoder "
                    f"EFIL MAML trains, {words}.",
                    source="Corollary 1",
                    computed=APART,
                    error=explicit.apart(efil),
                    bound=BOUND,
                )
            )
    return claims


def without_efil(setting: Setting) -> list[Claim]:
    """Return the rows that show that EFIL is needed, except for a zeroed head and one inner step."""
    claims = []
    for order in ORDERS:
        for bias in (True, False):
            claims += _same_encoder(setting, order, bias=bias)
        two = ZEROED | {"order": order, "inner_steps": 2}
        claims.append(
            Claim(
                statement=f"Head zeroed every step, {order} order, two inner steps: full MAML trains ANIL's encoder.",
                source="ours, control",
                computed=APART,
                error=trained(setting, two, {"algorithm": "maml"}).apart(trained(setting, two)),
                bound=1e-4,
                should="fail",
            )
        )
    return claims


def _same_encoder(setting: Setting, order: Order, *, bias: bool) -> list[Claim]:
    zeroed = ZEROED | {"order": order, "head_bias": bias}
    maml, explicit = (trained(setting, zeroed, {"algorithm": name}) for name in ("maml", "contrastive"))
    rounded = f"{explicit.differing(maml, 'encoder'):g} entries not bit for bit"
    where = f"Head {'with' if bias else 'without'} a bias, zeroed every step, {order} order, one inner step"
    return [
        Claim(
            statement=f"{where}: full MAML trains ANIL's encoder, bit for bit.",
            source="ours, Corollary 1 without EFIL",
            computed=BITS,
            error=maml.differing(trained(setting, zeroed), "encoder"),
            bound=0,
        ),
        Claim(
            statement=f"{where}: the explicit loss trains the encoder of full MAML.",
            source="ours, Corollary 1 without EFIL",
            computed=f"{APART}; equal but for rounding, {rounded}",
            error=explicit.apart(maml),
            bound=BOUND,
        ),
    ]


def zeroing_details(setting: Setting) -> list[Claim]:
    """Return the rows for two choices in zeroing: Adam's moments of the head, and the moment of zeroing."""
    claims = []
    for order in ORDERS:
        zeroed = ZEROED | {"order": order, "algorithm": "maml"}
        kept = trained(setting, zeroed, {"zero_head_adam": "kept", "zero_head_when": "before_inner_loop"})
        reset = trained(setting, zeroed, {"zero_head_adam": "reset", "zero_head_when": "before_inner_loop"})
        after = trained(setting, zeroed, {"zero_head_adam": "kept", "zero_head_when": "after_update"})
        where = f"Head zeroed every step, {order} order, one inner step"
        claims += [
            Claim(
                statement=f"{where}: Adam's moments of the head, kept or reset, give two heads and one encoder, bit "
                "for bit.",
                source="ours",
                computed=f"{BITS}; of the head {reset.differing(kept, 'head'):g} do, and some must",
                error=reset.differing(kept, "encoder") if reset.differing(kept, "head") else math.inf,
                bound=0,
            ),
            Claim(
                statement=f"{where}: zeroed before the inner loop or after the update, one encoder, bit for bit.",
                source="released code and Alg. 3",
                computed=BITS,
                error=after.differing(kept, "encoder"),
                bound=0,
            ),
            Claim(
                statement=f"{where}: zeroed before the inner loop or after the update, one as-trained head.",
                source="released code and Alg. 3, control",
                computed=f"entries of the head that differ after {STEPS} Adam steps",
                error=after.differing(kept, "head"),
                bound=0,
                should="fail",
            ),
        ]
    return claims


def _steps(count: int) -> str:
    return "one inner step" if count == 1 else f"{count} inner steps"


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (theorem_1, corollary_1, without_efil, zeroing_details)
