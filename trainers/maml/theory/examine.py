"""Every check of a setting, in the order of the report."""

from collections.abc import Callable

from trainers.maml.theory import (
    appendix,
    bitwise,
    coefficients,
    differences,
    engines,
    formulas,
    label_order,
    motivating_example,
    printed,
    trainings,
)
from trainers.maml.theory.claim import Claim, Setting

CHECKS: tuple[Callable[[Setting], list[Claim]], ...] = (
    *formulas.CLAIMS,
    *printed.CLAIMS,
    *appendix.CLAIMS,
    *coefficients.CLAIMS,
    *motivating_example.CLAIMS,
    *trainings.CLAIMS,
    *bitwise.CLAIMS,
    *label_order.CLAIMS,
    differences.rounding,
    *engines.CLAIMS,
)
"""The checks that use a setting's own network and episodes."""

CHECKS_ONCE: tuple[Callable[[Setting], list[Claim]], ...] = tuple(
    check for check in differences.CLAIMS if check is not differences.rounding
)
"""The checks that use toys and seeded noise, the same for every setting."""
