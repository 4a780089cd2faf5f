"""Generators of a plain axis's numbers: range, linspace and logspace, both ends included.

Whether the field accepts a number is checked in `axes`.
"""

import math
from collections.abc import Callable, Collection
from typing import Any

from sweeper.errors import shown, suggest
from sweeper.sweepfile.yaml_source import LARGEST_INT, Faults, Place

LARGEST_AXIS = 10_000  # values; a typing error in a linspace must not fill the memory


def generated(
    faults: Faults, place: Place, name: str, given: dict[str, Any], kinds: Collection[Any]
) -> list[int | float]:
    """Return the numbers that `given` at `place` generates for field `name`, whose values have a type of `kinds`.

    Numbers between the ends are rounded to 12 significant digits. A fault is noted in `faults` and gives an empty list.
    """
    if len(given) != 1:
        keys = ", ".join(map(shown, given)) or "none"
        message = f"must be exactly one of range, linspace and logspace, got {keys if len(given) <= 4 else len(given)}"
        faults.add(place, f"{message}; an axis of named values needs a name that is not a field")
        return []
    kind, numbers = next(iter(given.items()))
    inside = (*place, kind)
    if kind not in _GENERATORS:
        faults.add(inside, f"unknown key; {suggest(kind, _GENERATORS)}", at_key=True)
        return []
    if not {int, float} & set(kinds):
        faults.add(inside, f"{name} takes no numbers; list its values")
        return []
    try:
        _check_numbers(kind, numbers)
        between = _GENERATORS[kind](*numbers)[1:-1]
    except ValueError as error:
        faults.add(inside, str(error))
        return []
    # Rounded, so that 0.1 + 0.2 is 0.3 and trial ids don't depend on the platform's pow().
    rounded = [value if isinstance(value, int) else float(f"{value:.12g}") for value in between]
    values = [numbers[0], *rounded, numbers[1]]
    return _whole(faults, inside, values) if int in kinds else values


def _check_numbers(kind: str, given: Any) -> None:
    third = "step" if kind == "range" else "how many"
    form = f"must be [first, last, {third}]"
    if not isinstance(given, list) or len(given) != 3:
        raise ValueError(f"{form}, got {shown(given)}")
    for number in given:
        if type(number) not in (int, float) or not math.isfinite(number):
            raise ValueError(f"{form}, all of them finite numbers, got {shown(number)}")


def _whole(faults: Faults, place: Place, values: list[int | float]) -> list[int | float]:
    broken = [value for value in values if not float(value).is_integer()]
    if broken:
        faults.add(place, f"gives {shown(broken[0])}, but the field takes whole numbers; list its values")
        return []
    whole: list[int | float] = [int(value) for value in values]
    if any(abs(value) > LARGEST_INT for value in whole):
        faults.add(place, f"gives whole numbers beyond 64 bits, at most {LARGEST_INT}")
        return []
    return whole


def _range(first: float, last: float, step: float) -> list[float]:
    _check_apart(first, last)
    count = (last - first) / step if step else -1.0
    if count < 0:
        raise ValueError(f"steps of {step} don't lead from {first} to {last}; the last number is the step")
    if count >= LARGEST_AXIS:
        raise ValueError(f"more than {LARGEST_AXIS} values from {first} to {last} in steps of {step}")
    if abs(count - round(count)) > 1e-9 * max(1.0, count):
        before = first + math.floor(count) * step
        message = f"steps of {step} from {first} give {before:.12g} and {before + step:.12g}, not {last}"
        raise ValueError(f"{message}; both ends are included")
    return [first + index * step for index in range(round(count) + 1)]


def _linspace(first: float, last: float, count: float) -> list[float]:
    _check_count(count)
    _check_apart(first, last)
    return [first + (last - first) * index / (count - 1) for index in range(int(count))]


def _logspace(first: float, last: float, count: float) -> list[float]:
    if min(first, last) <= 0:
        raise ValueError(f"logspace needs both ends above 0, got {shown(min(first, last))}")
    _check_count(count)
    _check_apart(first, last)
    return [first * (last / first) ** (index / (count - 1)) for index in range(int(count))]


def _check_count(count: float) -> None:
    if not isinstance(count, int) or not 2 <= count <= LARGEST_AXIS:
        raise ValueError(f"the number of values must be a whole number from 2 to {LARGEST_AXIS}, got {shown(count)}")


def _check_apart(first: float, last: float) -> None:
    if first == last:
        raise ValueError(f"both ends are {shown(first)}; list the one value")


_GENERATORS: dict[str, Callable[[float, float, float], list[float]]] = {
    "range": _range,
    "linspace": _linspace,
    "logspace": _logspace,
}
