"""Which of the packages that this one asks for are installed, and whether their versions are the right ones."""

from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


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
    for asked in map(Requirement, requires(package) or ()):
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        try:
            found[asked.name] = version(asked.name)
        except PackageNotFoundError:
            missing.append(asked.name)
        else:
            if not holds(found[asked.name], str(asked.specifier)):
                wrong.append(f"{asked.name} {found[asked.name]} is there, asked for is {asked.specifier}")
    return Installed(found, missing, wrong)


def holds(have: str, asked: str) -> bool:
    """Return whether version `have` meets every bound of `asked`, as ">=3.13,<3.18"; a release candidate may."""
    return SpecifierSet(asked).contains(have, prereleases=True)
