"""The tables of a searched sweep: what each search found for its budget, and every proposal. Averages no search."""

from collections.abc import Mapping, Sequence

from analysis.contract.question import Endpoint
from analysis.contract.search import Confirmed, SearchFound, SearchPoint, SearchValue
from analysis.numbers.endpoint import Unit, in_unit
from analysis.numbers.searched import last_values, leader, steps_spent
from analysis.numbers.stats import SEEDS_FOR_INTERVAL, summary
from analysis.pages.contents import TextTable

Confirmations = Mapping[str, float]
"""The value of each confirmation that has one, by the id of its trial."""
CHOSEN_BY = "It was chosen by this number, so it flatters; only the confirmation, with seeds of its own, measures."


def found_table(searches: Sequence[SearchFound], unit: Unit) -> TextTable:
    """Return one row per search: budget, what was spent, and the best proposal with the value it was chosen by."""
    rows = []
    for found in searches:
        best = leader(found, found.values)
        rows.append((
            found.name,
            found.sampler,
            f"{len(found.points)} of {found.trials}",
            f"{steps_spent(found):,}",
            *_unlucky(found),
            "-" if best is None else str(best.number),
            "-" if best is None else point_words(found, best.number),
            "-" if best is None or best.value is None else in_unit(best.value, unit),
            "-" if best is None else str(best.step or "end"),
        ))  # fmt: skip
    metric = _compared(searches)
    return TextTable(
        caption=f"The best found by each search, by {metric}.",
        heads=("search", "sampler", "proposals", "steps spent", "no value", "best", "point", metric, "read at step"),
        rows=tuple(rows),
        notes=(CHOSEN_BY,),
    )


def confirmed_table(
    searches: Sequence[SearchFound], confirmations: Confirmations, endpoint: Endpoint, units: tuple[Unit, Unit]
) -> TextTable | None:
    """Return one row per confirmed proposal: the value it was chosen by, and apart from it the mean of fresh seeds."""
    rows = []
    for found in searches:
        heard = last_values(found)
        for one in found.confirmed:
            value = heard[one.number].value if one.number in heard else None
            rows.append((
                found.name,
                str(one.number),
                point_words(found, one.number),
                "-" if value is None else in_unit(value, units[0]),
                _mean(one, confirmations, units[1]),
                f"{sum(trial in confirmations for trial in one.trial_ids)} of {len(one.trial_ids)}",
                "among the best" if one.current else "superseded",
            ))  # fmt: skip
    if not rows:
        return None
    chosen_by = f"{_compared(searches)} (chosen by)"
    return TextTable(
        caption=f"The confirmation: {_named(endpoint)} over fresh seeds, beside the value that each was chosen by.",
        heads=("search", "proposal", "point", chosen_by, _named(endpoint), "seeds", "standing"),
        rows=tuple(rows),
        notes=("± is half the 95 % t-interval of the mean over fresh seeds.",),
    )


def proposals_table(searches: Sequence[SearchFound], unit: Unit) -> TextTable:
    """Return one row per proposal of every search, in the order in which they were made."""
    names = tuple(dict.fromkeys(one.name for found in searches for one in found.dimensions))
    rows = []
    for found in searches:
        heard = last_values(found)
        for point in found.points:
            of = point.number if point.duplicate is None else point.duplicate
            rows.append((
                found.name,
                str(point.number),
                *(str(point.params.get(name, "")) for name in names),
                *_outcome(point, heard.get(of), unit),
                point.trial_id,
            ))  # fmt: skip
    return TextTable(
        caption="Every proposal, read at the rung that it reached.",
        heads=("search", "proposal", *names, _compared(searches), "step", "outcome", "trial"),
        rows=tuple(rows),
    )


def point_words(found: SearchFound, number: int) -> str:
    """Return the point of a proposal in words."""
    params = found.points[number].params
    return ", ".join(f"{one.name} {params[one.name]}" for one in found.dimensions)


def _outcome(point: SearchPoint, heard: SearchValue | None, unit: Unit) -> tuple[str, str, str]:
    said = f"duplicate of {point.duplicate}" if point.duplicate is not None else ""
    if heard is None:
        return "-", "-", said or "pending"
    value = "-" if heard.value is None else in_unit(heard.value, unit)
    return value, str(heard.step or "end"), said or (point.note or heard.end)


def _unlucky(found: SearchFound) -> tuple[str]:
    ends = [one.end for one in found.values if one.value is None]
    doubled = sum(point.duplicate is not None for point in found.points)
    counted = [f"{ends.count(end)} {end}" for end in dict.fromkeys(ends)]
    return (", ".join([*counted, *([f"{doubled} duplicate"] if doubled else [])]) or "none",)


def _mean(one: Confirmed, confirmations: Confirmations, unit: Unit) -> str:
    values = [confirmations[trial] for trial in one.trial_ids if trial in confirmations]
    if not values:
        return "-"
    stats = summary(values)
    half = f" ± {unit.scale * stats.half_width:.{unit.digits}f}" if len(values) >= SEEDS_FOR_INTERVAL else ""
    return f"{unit.scale * stats.mean:.{unit.digits}f}{half}{f' {unit.name}' if unit.name else ''}"


def _compared(searches: Sequence[SearchFound]) -> str:
    """Return what the searches compare their trials by, in words."""
    return " or ".join(dict.fromkeys(_named(found.metric) for found in searches))


def _named(endpoint: Endpoint) -> str:
    if endpoint.by_trainer:
        return " or ".join(dict.fromkeys(map(_named, endpoint.each)))
    return (
        endpoint.declared.words[:1].lower()
        + endpoint.declared.words[1:]
        + "".join(f", {name} {value}" for name, value in endpoint.coordinates if name == "split")
    )
