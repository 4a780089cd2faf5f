"""Judged claims in words: the numbers of each claim, and the answer to the report's question."""

import math
from collections.abc import Mapping, Sequence

from analysis.contract.question import ClaimSpec, Endpoint, Side
from analysis.judging.claims import Contrast, Judged, Word
from analysis.judging.verdicts import ALPHA
from analysis.numbers.endpoint import PERCENT, Unit, unit_of
from analysis.numbers.measurements import measurement_of
from analysis.pages.contents import UNPLANNED, Answer, Verdict

WORDS: dict[Word, tuple[str, str]] = {
    "reproduced": ("is reproduced", "are reproduced"),
    "reversed": ("is reversed", "are reversed"),
    "contradicted": ("is contradicted", "are contradicted"),
    "negligible": ("is negligible", "are negligible"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
    "not enough seeds": ("has too few seeds", "have too few seeds"),
    "no margin": ("has no margin", "have no margin"),
    "not run": ("has not run", "have not run"),
    "not planned here": ("is not planned here", "are not planned here"),
}
"""Verdict -> its words for one claim and for several, in the order of an answer."""

SILENT = ("not run", UNPLANNED)


def numbers(judged: Judged) -> str:
    """Return the numbers of a claim, the authors' contrast, and notes on both, without a full stop."""
    parts = [] if judged.word in SILENT or judged.contrast is None else [_numbers(judged, judged.contrast)]
    if judged.published is not None:
        published, seeds = _value(judged.published, judged), len(judged.published.by_seed)
        parts.append(f"authors: {published} (n = {seeds})")
    return "; ".join([*parts, *_notes(judged)])


def answer(judged: Sequence[Judged], of_cells: Answer) -> Answer:
    """Return the verdicts of the primary claims that are planned, counted in the sentence.

    If none is planned, the sentence is that `of_cells`, and the verdicts are those of the secondary claims.
    """
    planned = [found for found in judged if found.word != UNPLANNED]
    primary = [found for found in planned if found.claim.primary]
    if not primary:
        return Answer(of_cells.sentence, (*map(_verdict, planned), *of_cells.verdicts))
    every = sum(found.claim.primary for found in judged)
    return Answer(_counted(primary, every), tuple(map(_verdict, primary)))


def name_of(claim: ClaimSpec) -> str:
    """Return the name of a claim's contrast, e.g. `zeroing: every step - none (task Omniglot 5w1s)`."""
    of, minus = _entries(claim.of), _entries(claim.minus)
    differing = _differing(of, minus)
    name = f"{_words(differing)}: {_values(of, differing)} - {_values(minus, differing)}"
    if claim.less is None:
        return name + _where(claim.of, of, [key for key in of if key not in differing])
    other = _entries(claim.less[0])
    between = _differing(of, other)
    name += f", {_words(between)}: {_values(of, between)} less {_values(other, between)}"
    return name + _where(claim.of, of, [key for key in of if key not in (*differing, *between)])


def _entries(side: Side) -> dict[str, str]:
    """Return the labels and the endpoint of a side as names and values in words."""
    reading = side.endpoint
    at = reading.at if isinstance(reading.at, str) else " and ".join(str(step) for step in reading.at)
    labels = {name.replace("_", " "): label for name, label in side.labels.items()}
    return labels | {
        "metric": reading.metric.replace("_", " "),
        **{_of_reading(name): str(value).replace("_", " ") for name, value in _coordinates(reading).items()},
        measurement_of(reading).step: str(at),
        "window": str(reading.window),
    }


def _coordinates(reading: Endpoint) -> dict[str, str | int | None]:
    """Return the coordinates of a reading; MAML's numbers all have a head and inner steps, None for a probe."""
    maml = {} if reading.declared.measured == "readings" else {"head": None, "steps": None}
    return maml | dict(reading.coordinates)


def _of_reading(coordinate: str) -> str:
    return f"{coordinate.replace('_', ' ')} at test"


def _differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the names with different values on two sides. A side may leave out an axis, which then has one value."""
    return [key for key in one if key in other and one[key] != other[key]]


def _words(keys: Sequence[str]) -> str:
    return ", ".join(keys) if keys else "nothing"


def _values(entries: dict[str, str], keys: Sequence[str]) -> str:
    return ", ".join(entries[key] for key in keys)


def _where(side: Side, entries: dict[str, str], keys: Sequence[str]) -> str:
    """Return in brackets the labels that both sides share, and the step unless it is the last."""
    reading = ("metric", "window", *map(_of_reading, _coordinates(side.endpoint)))
    last = (measurement_of(side.endpoint).step, "last")
    shared = [f"{key} {entries[key]}" for key in keys if key not in reading and (key, entries[key]) != last]
    return f" ({', '.join(shared)})" if shared else ""


def _numbers(judged: Judged, contrast: Contrast) -> str:
    seeds = f"n = {len(contrast.by_seed)}"
    if not contrast.by_seed:
        return f"no common seed ({seeds})"
    inside = [seeds]
    if contrast.estimate is None:
        values = ", ".join(_signed(value, _unit(judged)) for value in contrast.by_seed.values())
        inside.append(f"by seed {values}")
    if not math.isnan(judged.p):
        inside.append(f"{'TOST ' if judged.claim.kind == 'equivalence' else ''}p {_p(judged.p)}")
        inside.append(f"Holm {_p(judged.adjusted_p)}" if judged.claim.primary else "secondary, not adjusted")
    if not math.isnan(judged.effect_in_sd):
        inside.append(f"{judged.effect_in_sd:+.1f} pooled seed sd")
    return f"{_value(contrast, judged)} ({', '.join(inside)})"


def _value(contrast: Contrast, judged: Judged) -> str:
    """Return the mean with the interval of its verdict: 90 % for an equivalence, else ± half the 95 % interval."""
    unit = _unit(judged)
    text = f"{_signed(contrast.mean, unit)}"
    if contrast.estimate is None:
        return text + _named(unit)
    if judged.claim.kind == "equivalence":
        low, high = contrast.interval_90
        return f"{text}{_named(unit)}, 90 % interval {_signed(low, unit)} to {_signed(high, unit)}"
    return f"{text} ± {_size((contrast.paired.high - contrast.paired.low) / 2, unit)}{_named(unit)}"


def _notes(judged: Judged) -> list[str]:
    claim, unit, notes = judged.claim, _unit(judged), []
    if judged.margin is not None and claim.kind == "equivalence":
        margin = f"margin ±{_margin(judged.margin, unit)}"
        if judged.reference is not None and judged.margin == abs(judged.reference) / 2:
            margin += f", half the authors' {_signed(judged.reference, unit)} of the reference"
        elif judged.reference is None and claim.reference is not None:
            whose = "the task's own" if claim.margin is None else "the claim's own"
            margin += f", {whose}, for the reference has no published value"
        notes.append(margin)
    if judged.p < ALPHA <= judged.adjusted_p:
        notes.append("significant only before the adjustment for the number of primary claims")
    held = judged.contrast if judged.word == "reproduced" and claim.kind != "equivalence" else None
    if held is not None and judged.margin is not None and held.paired.furthest <= judged.margin:
        notes.append(f"smaller than the margin of ±{_margin(judged.margin, unit)}")
    missing: dict[str, dict[str, list[str]]] = {}
    for seed in judged.missing:
        reasons = missing.setdefault(", ".join(seed.side.labels.values()), {})
        reasons.setdefault(seed.reason, []).append(str(seed.seed))
    return [*notes, *(f"{cell}: {', '.join(_seeds(reasons))}" for cell, reasons in missing.items())]


def _seeds(reasons: Mapping[str, Sequence[str]]) -> list[str]:
    """Return e.g. `seeds 0, 1, 3 not run` for each reason."""
    named = ((list(dict.fromkeys(seeds)), reason) for reason, seeds in reasons.items())
    return [f"seed{'s' * (len(own) > 1)} {', '.join(own)} {reason}" for own, reason in named]


def _counted(primary: Sequence[Judged], every: int) -> str:
    """Return how many claims have each verdict; `every` counts those that are not planned, too."""
    words = [found.word for found in primary]
    counts = [(words.count(word), *form) for word, form in WORDS.items() if word in words]
    plural = "" if len(words) == 1 else "s"
    name = f"primary claim{plural}{' planned here' if len(words) < every else ''}"
    if len(counts) == 1:
        (_, one, several) = counts[0]
        if len(words) == 1:
            return f"The {name} {one}."
        return f"{'Both' if len(words) == 2 else f'All {len(words)}'} {name} {several}."
    *first, last = (f"{count} {one if count == 1 else several}" for count, one, several in counts)
    return f"Of {len(words)} {name}, {', '.join(first)} and {last}."


def _verdict(judged: Judged) -> Verdict:
    """Return a claim in the paper's words with our numbers."""
    found = "" if judged.word == "not run" else f": {in_short(judged)}"
    return Verdict(judged.word, f"{judged.claim.says.rstrip('.')}{found}.")


def in_short(judged: Judged) -> str:
    """Return a claim's difference with its interval and number of seeds."""
    if judged.contrast is None or not judged.contrast.by_seed:
        return "no common seed"
    return f"{_value(judged.contrast, judged)}, n = {len(judged.contrast.by_seed)}"


def _signed(value: float, unit: Unit) -> str:
    """Return a number with its sign, in points for a fraction; a number that rounds to zero is +0."""
    return f"{round(unit.scale * value, unit.digits) + 0.0:+.{unit.digits}f}"


def _size(value: float, unit: Unit) -> str:
    return f"{unit.scale * value:.{unit.digits}f}"


def _margin(value: float, unit: Unit) -> str:
    exact = unit._replace(digits=2) if unit == PERCENT else unit
    return f"{_size(value, exact)}{_named(unit)}"


def _named(unit: Unit) -> str:
    if unit == PERCENT:
        return " points"
    return f" {unit.name}" if unit.name else ""


def _unit(judged: Judged) -> Unit:
    """Return the unit of a claim's numbers, with decimals enough for its largest difference."""
    contrasts = [contrast for contrast in (judged.contrast, judged.published) if contrast is not None]
    values = [value for contrast in contrasts for value in contrast.by_seed.values()]
    return unit_of(judged.claim.of.endpoint, [*values, judged.margin or 0.0])


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
