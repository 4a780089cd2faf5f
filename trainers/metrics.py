"""Metrics that a trainer declares: read from what a user writes, kept as JSON, and the check of measured values.

Computes no number.
"""

import math
import re
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any

from trainers.fields import finite, shown
from trainers.trainer import READINGS, WHOLE, Metric, TrainerError, metric_name

MOST_METRICS = 1000
LONGEST_TEXT = 500
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_COORDINATE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_TAKEN = frozenset({"metric", "at", "window"})
"""The keys of a reading in a sweep file that no coordinate may have."""
_KEYS = ("words", "axis", "unit", "better", "coordinates", "least", "most", "measured")


def metrics_of(given: Any, owner: str) -> dict[str, Metric]:
    """Return the metrics in a list of names, or in a mapping of names to a Metric, its keys and values, or null.

    Raises TrainerError with `owner` for the first one that can't be understood.
    """
    if isinstance(given, list | tuple):
        given = dict.fromkeys(given) if all(isinstance(name, str) for name in given) else given
    if not isinstance(given, Mapping) or not 1 <= len(given) <= MOST_METRICS:
        raise TrainerError(
            f"{owner}: metrics must be a list of names, or a mapping such as {{accuracy: {{better: higher}}}}, with 1 "
            f"to {MOST_METRICS} of them, got {shown(given)}"
        )
    return {name: _metric(owner, name, one) for name, one in given.items()}


def metrics_as_json(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """Return the metrics as `metrics_of` reads them; what has its default is absent."""
    return {name: _as_json(metric) for name, metric in metrics.items()}


def _as_json(metric: Metric) -> dict[str, Any]:
    usual = Metric(words=metric.words)
    found = {"words": metric.words} | {
        key: getattr(metric, key) for key in _KEYS if getattr(metric, key) != getattr(usual, key)
    }
    if metric.coordinates:
        found["coordinates"] = {name: list(values) for name, values in metric.coordinates.items()}
    return found


def _metric(owner: str, name: Any, given: Any) -> Metric:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TrainerError(
            f"{owner}: a metric may not be called {shown(name)}; a name is a letter and at most 63 more of a-z, A-Z, "
            "0-9, _, . and - (a coordinate such as accuracy/val is declared in coordinates)"
        )
    place = f"{owner}: metric {name}"
    if isinstance(given, Metric):
        given = {key: getattr(given, key) for key in _KEYS}
        given |= {"least": None if given["least"] == -math.inf else given["least"]}
        given |= {"most": None if given["most"] == math.inf else given["most"]}
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise TrainerError(f"{place}: must be a mapping of {', '.join(_KEYS)}, got {shown(given)}")
    for key in given:
        if key not in _KEYS:
            raise TrainerError(f"{place}: unknown key {shown(key)}; known are {', '.join(_KEYS)}")
    texts = {key: given.get(key) or "" for key in ("words", "axis", "unit", "measured")}
    for key, text in texts.items():
        if not isinstance(text, str) or len(text) > LONGEST_TEXT or not text.isprintable():
            raise TrainerError(f"{place}: {key} must be one line of up to {LONGEST_TEXT} characters, got {shown(text)}")
    better = given.get("better")
    if better not in (None, "higher", "lower"):
        raise TrainerError(f"{place}: better must be higher or lower, got {shown(better)}")
    limits = {key: given.get(key) for key in ("least", "most")}
    for key, limit in limits.items():
        if limit is not None and not finite(limit):
            raise TrainerError(f"{place}: {key} must be a finite number, got {shown(limit)}")
    least = -math.inf if limits["least"] is None else float(limits["least"])
    most = math.inf if limits["most"] is None else float(limits["most"])
    if least > most:
        raise TrainerError(f"{place}: least {least} is more than most {most}")
    return Metric(
        words=texts["words"] or name.replace("_", " "),
        axis=texts["axis"],
        unit=texts["unit"],
        better=better,
        coordinates=_coordinates(place, given.get("coordinates")),
        least=least,
        most=most,
        measured=texts["measured"] or READINGS,
    )


def _coordinates(place: str, given: Any) -> dict[str, tuple[str, ...]]:
    given = {} if given is None else given
    if not isinstance(given, Mapping) or len(given) > MOST_METRICS:
        raise TrainerError(f"{place}: coordinates must be a mapping of names to lists of values, got {shown(given)}")
    found = {}
    for name, values in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
            taken = ", ".join(sorted(_TAKEN))
            raise TrainerError(f"{place}: a coordinate may not be called {shown(name)} (nor {taken})")
        if not isinstance(values, list | tuple) or len(values) > MOST_METRICS:
            raise TrainerError(f"{place}: coordinate {name} must be a list of its values, got {shown(values)}")
        for value in values:
            if value != WHOLE and (not isinstance(value, str) or not _COORDINATE.fullmatch(value)):
                raise TrainerError(
                    f"{place}: coordinate {name} has the value {shown(value)}; a value is 1 to 64 of a-z, A-Z, "
                    "0-9, _, . and -, and the empty list stands for any whole number from 0"
                )
        if len(set(values)) < len(values):
            raise TrainerError(f"{place}: coordinate {name} has a value twice; keep one")
        found[name] = tuple(values) or (WHOLE,)
    return found


def measured(owner: str, metrics: Mapping[str, Metric], step: int, given: Any) -> dict[str, float]:
    """Return the numbers that a trainer has measured at `step` as a record holds them.

    Raises TrainerError for what is no mapping of declared metrics to finite numbers within their limits.
    """
    place = f"{owner}: step {step}"
    if not isinstance(given, Mapping):
        hint = "; yield {} for a step without a measurement" if given is None else ""
        raise TrainerError(f"{place}: yielded {shown(given)}; expected a mapping of metrics to numbers{hint}")
    return {_known(place, metrics, name): _number(place, metrics, name, value) for name, value in given.items()}


def _known(place: str, metrics: Mapping[str, Metric], name: Any) -> str:
    metric, *coordinates = name.split("/") if isinstance(name, str) else [""]
    if metric not in metrics:
        raise TrainerError(f"{place}: metric {shown(name)} is not declared; declared are {', '.join(metrics)}")
    declared = metrics[metric].coordinates
    if len(coordinates) != len(declared):
        raise TrainerError(f"{place}: metric {shown(name)} must be named {spelling(metric, metrics[metric])}")
    for (coordinate, allowed), value in zip(declared.items(), coordinates, strict=True):
        if not is_among(allowed, value):
            one_of = ", ".join(allowed)
            raise TrainerError(f"{place}: metric {shown(name)}: {coordinate} must be {one_of}, got {shown(value)}")
    return str(name)


def is_among(allowed: tuple[str, ...], value: Any) -> bool:
    """Return whether `value` is one of the values that a coordinate may have, as a text or a number."""
    return str(value) in allowed or (WHOLE in allowed and _WHOLE_NUMBER.fullmatch(str(value)) is not None)


def spelling(name: str, metric: Metric) -> str:
    """Return how a number of `metric` is named in a reading: `accuracy/SPLIT` with a coordinate."""
    return metric_name(name, (coordinate.upper() for coordinate in metric.coordinates))


def _number(place: str, metrics: Mapping[str, Metric], name: str, value: Any) -> float:
    value = _single(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TrainerError(f"{place}: metric {name} must be a number, got {shown(value)} ({type(value).__name__})")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise TrainerError(
            f"{place}: metric {name} must be a finite number, got {number}; leave it out of this step, or end the "
            "trial as diverged"
        )
    limits = metrics[name.split("/")[0]]
    if not limits.least <= number <= limits.most:
        percent = "; a metric in % is measured as a fraction" if limits.unit == "%" and abs(number) > 1 else ""
        raise TrainerError(f"{place}: metric {name} is {number}, outside {limits.least} to {limits.most}{percent}")
    return number


def _single(value: Any) -> Any:
    """Return the number in an array or tensor of one number without axes, and anything else as it is."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    is_tensor = torch is not None and isinstance(value, torch.Tensor)
    is_array = numpy is not None and isinstance(value, numpy.ndarray)
    return value.item() if (is_tensor or is_array) and value.ndim == 0 else value
