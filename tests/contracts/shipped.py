"""The sweep files of the repository: those that list a grid, and those that search."""

from tests.places import ROOT

FILES = tuple(sorted((ROOT / "sweeps").glob("*.yaml")))
SEARCHES = tuple(path for path in FILES if "\nsearch:\n" in path.read_text(encoding="utf-8"))
GRIDS = tuple(path for path in FILES if path not in SEARCHES)
