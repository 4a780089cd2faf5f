"""Every check of a setting, in the order in which they are told."""

from collections.abc import Callable

from trainers.theory import (
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
from trainers.theory.claim import Claim, Setting

CHECKS: tuple[Callable[[Setting], list[Claim]], ...] = (
    *formulas.CLAIMS,
    *printed.CLAIMS,
    *appendix.CLAIMS,
    *coefficients.CLAIMS,
    *motivating_example.CLAIMS,
    *trainings.CLAIMS,
    *bitwise.CLAIMS,
    *label_order.CLAIMS,
    *differences.CLAIMS,
    *engines.CLAIMS,
)
