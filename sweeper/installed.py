"""Which of the packages that this one asks for are installed, and whether their versions are the right ones."""

import operator
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

_TESTS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


class Installed(NamedTuple):
    """Versions of what is there, names of what is missing, and each version out of bounds as a phrase."""

    found: dict[str, str]
    missing: list[str]
    wrong: list[str]


def installed(package: str = "sweeper") -> Installed:
    """Look up everything that `package` needs, without importing any of it; extras aside.

    Raises PackageNotFoundError if `package` itself isn't installed.
    """
    found, missing, wrong = {}, [], []
    for line in requires(package) or ():
        name, asked = re.match(r"([\w.-]+)(?:\[[^]]*])?\s*\(?([^;)]*)", line).groups()
        if "extra ==" in line:
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
        else:
            if not holds(found[name], asked):
                wrong.append(f"{name} {found[name]} is there, asked for is {asked.strip()}")
    return Installed(found, missing, wrong)


def holds(have: str, asked: str) -> bool:
    """Return whether version `have` meets every bound of `asked`, as ">=3.13,<3.18"; its release digits alone count."""
    bounds = re.findall(r"(>=|<=|==|!=|>|<)\s*([\w.]+)", asked)
    return all(_TESTS[sign](_release(have), _release(bound)) for sign, bound in bounds)


def _release(text: str) -> tuple[int, ...]:
    """Return four numbers: 2.15 and 2.15.0+cu126 are the same release."""
    parts = [int(part) for part in re.match(r"\d+(?:\.\d+)*", text)[0].split(".")]
    return (*parts, 0, 0, 0, 0)[:4]
