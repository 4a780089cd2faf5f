"""Which required packages are installed, and whether their versions are allowed. Imports and installs nothing."""

from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


class Installed(NamedTuple):
    """Versions of installed packages, names of missing ones, and a phrase for each version that isn't allowed."""

    found: dict[str, str]
    missing: list[str]
    wrong: list[str]


def installed(package: str = "sweeper") -> Installed:
    """Look up every package that `package` requires, without its extras and without importing any.

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
                wrong.append(f"{asked.name} {found[asked.name]} is installed, but {asked.specifier} is required")
    return Installed(found, missing, wrong)


def holds(have: str, asked: str) -> bool:
    """Return whether version `have` meets every bound of `asked`, e.g. ">=3.13,<3.18". Pre-releases may."""
    return SpecifierSet(asked).contains(have, prereleases=True)
