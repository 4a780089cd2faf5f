"""Short names of runs, which tell the runs of one sweep apart by their first characters.

Knows labels alone. The full name of a trial, with its constant parts, is `TrialSpec.name`.
"""

from collections.abc import Iterable, Mapping

BETWEEN = " · "


def swept_axes(labels: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the axes with more than one label among `labels`, in the order of the axes."""
    found: dict[str, set[str]] = {}
    for cell in labels:
        for axis, label in cell.items():
            found.setdefault(axis, set()).add(label)
    return tuple(axis for axis, values in found.items() if len(values) > 1)


def short_name(labels: Mapping[str, str], swept: Iterable[str], full: str, seed: int | None = None) -> str:
    """Return a run's name: the values on the swept axes, value first, then the seed of a trial.

    `3 inner_steps · every step · s0`: a number has the name of its axis, a word stands alone. A sweep of one cell has
    no swept axis: then the seed comes first, and `full`, the cell's full name, after it.
    """
    values = [f"{labels[axis]} {axis}" if _is_number(labels[axis]) else labels[axis] for axis in swept]
    seeds = [] if seed is None else [f"s{seed}"]
    return BETWEEN.join([*values, *seeds] if values else [*seeds, full])


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
