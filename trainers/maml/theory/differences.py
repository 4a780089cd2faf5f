"""Gradients of our code against central finite differences on small networks, and on a quadratic.

The loss that is differenced matters. A second-order gradient is the slope of the meta-loss. A first-order or explicit
one is the slope of a loss in which the stopped parts keep their values. The networks are a smooth twin of Conv-4,
whose slope exists everywhere, and one with ReLU and max-pooling, whose meta-loss jumps at kinks.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainers.maml.adapt import Adaptation, Objective, adapt, graph_gradient, transform_gradient
from trainers.maml.methods.contrastive import Explicit
from trainers.maml.networks import HEAD
from trainers.maml.theory.cases import largest
from trainers.maml.theory.claim import Claim, Setting
from trainers.maml.theory.twins import TWIN_LR, Twin, kinked_twin, noise_episode, smooth_twin

STEPS = (1, 2, 5)
H = 1e-5
LADDER = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
JUMPS_WITHIN = 1e-3

HOW = f"largest relative error of 9 slopes (8 random directions, the gradient's), h = {H:g}, smooth twin on fixed noise"


def second_order(setting: Setting) -> list[Claim]:
    """Return a row for MAML and one for ANIL: the second-order gradient against the meta-loss."""
    case = smooth_twin(noise_episode(28))
    claims = []
    for algorithm in ("maml", "anil"):
        errors = []
        for steps in STEPS:
            how = case.how(algorithm, "second", steps)
            errors += case.slope_errors(case.meta_gradient(how), case.meta_loss(how), h=H)
        claims.append(
            Claim(
                statement=f"The second-order gradient of {algorithm.upper()} is the slope of the meta-loss on a smooth "
                "network, at 1, 2 and 5 inner steps.",
                source="Finn et al. 2017, eq. 1; Alg. 1",
                computed=HOW,
                error=largest(errors),
                bound=1e-7,
            )
        )
    return claims


def rounding(setting: Setting) -> list[Claim]:
    """Return the row for the second-order slopes on the setting's own first episode, at the best of three h.

    On a nearly constant background the loss is rounded more coarsely than on noise, so the bound for noise doesn't
    apply. An error that changes with h is rounding or curvature; a constant one would be a wrong gradient.
    """
    case = smooth_twin(setting.episodes(setting.config)[0])
    how = case.how("maml", "second", 5)
    gradient, loss = case.meta_gradient(how), case.meta_loss(how)
    errors = [largest(case.slope_errors(gradient, loss, h=h)) for h in (1e-4, 1e-5, 1e-6)]
    return [
        Claim(
            statement="On the setting's first episode the second-order gradient of MAML is the slope of the meta-loss "
            "within rounding, at 5 inner steps.",
            source="Finn et al. 2017, eq. 1",
            computed="largest relative error of 9 directional slopes on a smooth twin, at the best h: "
            f"{errors[0]:.1e} at h = 1e-4, {errors[1]:.1e} at 1e-5, {errors[2]:.1e} at 1e-6",
            error=-largest(-error for error in errors),
            bound=1e-6,
        )
    ]


def first_order(setting: Setting) -> list[Claim]:
    """Return rows for the first-order gradients, and the control that they are not the slope of the meta-loss."""
    case = smooth_twin(noise_episode(28))
    claims, slopes_of_meta_loss = [], []
    for algorithm in ("maml", "anil"):
        errors = []
        for steps in STEPS:
            how = case.how(algorithm, "first", steps)
            gradient = case.meta_gradient(how)
            errors += case.slope_errors(gradient, case.displaced_loss(how), h=H)
            slopes_of_meta_loss.append(largest(case.slope_errors(gradient, case.meta_loss(how), h=H)))
        claims.append(
            Claim(
                statement=f"The first-order gradient of {algorithm.upper()} is the slope of the query loss at the "
                "adapted weights, inner displacement frozen, at 1, 2 and 5 steps.",
                source="Alg. 2",
                computed=HOW,
                error=largest(errors),
                bound=1e-7,
            )
        )
    control = Claim(
        statement="The first-order gradient is the slope of the meta-loss at 1, 2 and 5 inner steps, MAML and ANIL.",
        source="control",
        computed=f"{HOW}; the smallest of the six",
        error=-largest(-slope for slope in slopes_of_meta_loss),
        bound=1e-2,
        should="fail",
    )
    return [*claims, control]


def explicit_losses(setting: Setting) -> list[Claim]:
    """Return rows for the explicit losses: against themselves with the stopped parts frozen, and the meta-loss."""
    case = smooth_twin(noise_episode(28))
    kinds = (
        ("Eq. 7", "q, s and phi(s) frozen, at 1, 2 and 5 steps", [Explicit("first", n, TWIN_LR) for n in STEPS]),
        ("Eq. 8 (exact)", "q alone frozen, at one step", [Explicit("second", 1, TWIN_LR)]),
        ("Eq. 8 (printed)", "q and s frozen, at one step", [Explicit("second", 1, TWIN_LR, form="printed")]),
    )
    claims = []
    for source, frozen, ways_to in kinds:
        errors: list[float] = []
        for how in ways_to:
            gradient = case.explicit_gradient(how)
            encoder = {name: value for name, value in gradient.items() if name not in HEAD}
            errors += case.slope_errors(encoder, case.frozen_explicit_loss(how), h=H)
        claims.append(
            Claim(
                statement=f"The encoder's gradient of the explicit loss {source} is the slope of its formula "
                f"with {frozen}; random head.",
                source=source,
                computed=f"{HOW}; the formula written out a second time",
                error=largest(errors),
                bound=1e-7,
            )
        )
    meta_loss = case.meta_loss(case.how("anil", "second", 1))
    whole = case.explicit_gradient(Explicit("second", 1, TWIN_LR))
    claims.append(
        Claim(
            statement="Eq. 8 in its exact form with the head by Eq. 11 is the slope of the EFIL meta-loss, for encoder "
            "and head, at one step; random head.",
            source="Eqs. 8 (exact) and 11",
            computed=HOW,
            error=largest(case.slope_errors(whole, meta_loss, h=H)),
            bound=1e-7,
        )
    )
    return claims


def kinks(setting: Setting) -> list[Claim]:
    """Return rows for ReLU and max-pooling: exact between kinks, and the jump of the meta-loss at them.

    The network and its noise are fixed and don't depend on the setting.
    """
    case = kinked_twin()
    best: list[float] = []
    for steps in STEPS:
        how = case.how("maml", "second", steps)
        gradient, loss = case.meta_gradient(how), case.meta_loss(how)
        ladder = [case.slope_errors(gradient, loss, h=h) for h in LADDER]
        best += torch.tensor(ladder).amin(dim=0).tolist()
    exact = Claim(
        statement="With ReLU, max-pooling and biases that aren't zero the second-order gradient is the slope of the "
        "meta-loss between kinks.",
        source="Finn et al. 2017, eq. 1",
        computed=f"share of {len(best)} directions (9 at each of 1, 2 and 5 steps) whose best h of 1e-4 to 1e-8 is "
        "off by more than 1e-5; 2 blocks, 8 channels, 12x12 noise",
        error=sum(not error <= 1e-5 for error in best) / len(best),
        bound=0.1,
    )
    return [exact, *(_jump(case, steps, lr) for steps, lr in ((2, 0.4), (5, TWIN_LR)))]


def _jump(case: Twin, steps: int, lr: float) -> Claim:
    how = case.how("maml", "second", steps, lr)
    gradient, loss = case.meta_gradient(how), case.meta_loss(how)
    error = largest(case.slope_errors(gradient, loss, h=JUMPS_WITHIN))
    return Claim(
        statement=f"With ReLU and max-pooling the meta-loss is continuous in the parameters ({steps} steps, inner lr "
        f"{lr}).",
        source="ours, control",
        computed=f"largest jump, in nats, within {JUMPS_WITHIN:g} along 9 directions, found by halving; "
        f"differences that wide have a relative error of up to {error:.1e}",
        error=largest(case.jumps(gradient, loss, within=JUMPS_WITHIN)),
        bound=1e-9,
        should="fail",
    )


def quadratic(setting: Setting) -> list[Claim]:
    """Return the closed form of the meta-gradient on a quadratic, and the control with g at the wrong point."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    hessian, query_hessian = (torch.eye(6, dtype=torch.float64) + root @ root.T / 6 for root in draw(2, 6, 6))
    centre, query_centre, start = draw(3, 6)
    rate, right, wrong = 0.1, [], []

    def bowl(curve: Tensor, middle: Tensor) -> Objective:
        return lambda params: (params["x"] - middle) @ curve @ (params["x"] - middle) / 2

    for steps in (1, 5, 20):
        shrink = torch.linalg.matrix_power(torch.eye(6, dtype=torch.float64) - rate * hessian, steps)
        adapted = centre + shrink @ (start - centre)
        for inner in (graph_gradient, transform_gradient):
            how = Adaptation(("x",), steps, rate, inner("second"))
            found = _meta_slope(bowl(hessian, centre), bowl(query_hessian, query_centre), start, how)
            right.append(_gap(found, shrink @ query_hessian @ (adapted - query_centre)))
            wrong.append(_gap(found, shrink @ query_hessian @ (start - query_centre)))
    computed = "relative error of the gradient through autograd and through torch.func, 6 parameters"
    return [
        Claim(
            statement="On a quadratic the second-order gradient is (I - aH)^n g: H the support Hessian, g the query "
            "gradient at the adapted point; n = 1, 5, 20.",
            source="closed form",
            computed=f"largest {computed}",
            error=largest(right),
            bound=1e-12,
        ),
        Claim(
            statement="On a quadratic the second-order gradient is (I - aH)^n g with g the query gradient at the "
            "initial point; n = 1, 5, 20.",
            source="control",
            computed=f"smallest {computed}",
            error=-largest(-gap for gap in wrong),
            bound=1e-2,
            should="fail",
        ),
    ]


def _meta_slope(support: Objective, query: Objective, start: Tensor, how: Adaptation) -> Tensor:
    leaf = start.clone().requires_grad_()
    return torch.autograd.grad(query(adapt(support, {"x": leaf}, how)[-1]), leaf)[0]


def _gap(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (
    second_order,
    rounding,
    first_order,
    explicit_losses,
    kinks,
    quadratic,
)
