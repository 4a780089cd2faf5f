"""The points that a tracking store shows of a trial's record: its curves, its passes and its probes. Sends nothing."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from trainers.maml.config import resolve
from trainers.thinning import stride
from trainers.trainer import Point

CURVES = ("query_loss", "query_accuracy")
PROBED_PER_EPISODE = (
    "positive", "negative", "interference_norm", "contrastive_norm", "smallest_live_variance", "flat_channels",
)  # fmt: skip


def points(record: Mapping[str, Any], *, all_of_them: bool) -> list[Point]:
    """Return every point the run shows of a trial's `record`; finite values only, training first.

    The training curve keeps the first step of every span: at most 200 points per key. The spans of a longer target
    are unions of the spans of a shorter one, so sent points stay right when a target grows. Each doubling of the
    target then adds at most 100 points. With `all_of_them` nothing is left out: a run may show any of them, since a
    shorter target thins out less.
    """
    width = 1 if all_of_them else None
    return _training_points(record, width) + _evaluation_points(record) + _probe_points(record, width)


def _training_points(record: Mapping[str, Any], width: int | None) -> list[Point]:
    training = record["training"]
    width = width or stride(max([record["target"], *training["step"][-1:]]))
    kept, span = [], -1
    for index, step in enumerate(training["step"]):
        if step // width != span:
            span = step // width
            kept.append(index)
    return [
        Point(f"train_{curve}", training[curve][index], training["time_ms"][index], training["step"][index])
        for curve in CURVES
        for index in kept
        if math.isfinite(training[curve][index])
    ]


def _evaluation_points(record: Mapping[str, Any]) -> list[Point]:
    config = resolve(record["config"])
    named = {"step_0": 0, "step_1": 1, "inner_steps": config.inner_steps}
    scored: list[tuple[str, int, Mapping[str, Any]]] = [
        *((found["split"], config.scored_steps, found) for found in record["evaluations"]),
        *(("final", config.final_scored_steps, found) for found in record.get("finals", [])),
    ]
    return [
        Point(f"{prefix}_accuracy/{head}/{name}", value, found["time_ms"], found["step"])
        for prefix, last, found in scored
        for head, accuracy in found["accuracy"].items()
        for name, taken in (named | {"last_step": last}).items()
        if taken < len(accuracy) and (value := accuracy[taken]) is not None and math.isfinite(value)
    ]


def _probe_points(record: Mapping[str, Any], width: int | None) -> list[Point]:
    """Return a probe's single numbers, and the median and the extreme of its numbers per episode.

    Thinned out like the training curve.
    """
    width, span, found = width or stride(record["target"]), -1, []
    for probe in record["probes"]:
        if probe["step"] // width != span:
            span = probe["step"] // width
            numbers = _probe_numbers(probe).items()
            found += [Point(f"probe_{name}", value, probe["time_ms"], probe["step"]) for name, value in numbers]
    return found


def _probe_numbers(probe: dict[str, Any]) -> dict[str, float]:
    lists = {name: probe[name] for name in PROBED_PER_EPISODE}
    lists |= {f"gradient_norm/{order}": norms for order, norms in probe["gradient_norm"].items()}
    numbers = {"head_norm": probe["head_norm"], "feature_change": probe["feature_change"]}
    numbers |= {f"layer_change/{layer}": change for layer, change in probe["layer_change"].items()}
    for name, values in lists.items():
        finite = [value for value in values if value is not None]
        if finite:
            extreme = ("min", min(finite)) if name == "smallest_live_variance" else ("max", max(finite))
            numbers |= {f"{name}/median": statistics.median(finite), f"{name}/{extreme[0]}": extreme[1]}
    return {name: value for name, value in numbers.items() if value is not None}
