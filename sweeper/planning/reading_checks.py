"""Checks that the trials of a sweep measure the numbers that its file reads: endpoint, tables, figures, claims."""

import math
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from analysis.contract.question import BEST_VAL, Endpoint, FigureSpec, TableSpec
from sweeper.planning.grid import Cell
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import Wanted


def check_readings(sweep: Sweep, configs: Sequence[tuple[Cell, BaseModel]], faults: Faults, *, whole: bool) -> None:
    """Note every number that the file reads from a trial that never measures it. `whole`: the grid has no profile."""
    _check_reading(("endpoint",), sweep.endpoint, {}, configs, faults)
    for place, endpoint, labels in _further_readings(sweep):
        _check_reading(place, endpoint, labels, configs, faults)
    for number, figure in enumerate(sweep.figures):
        read = figure.endpoint or sweep.endpoint
        metric = next((one.metric for one in read.each if one.declared.measured == "finals"), "")
        if figure.kind == "curves" and metric:
            why = "a curve is made of evaluations along the training; say metric: test_accuracy for this figure"
            faults.add(("report", "figures", number), f"{metric} is measured once, but {why}")
    at = sweep.endpoint.at
    for _, trainer in sweep.trainers.every:
        length, own = trainer.length, [config for cell, config in configs if cell.found.trainer is trainer]
        longest = max((getattr(config, length) for config in own), default=0) if length else math.inf
        if whole and own and not isinstance(at, str) and max(at) > longest:
            of = f" of {trainer.name}" if len(sweep.trainers.every) > 1 else ""
            faults.add(("endpoint", "at"), f"step {max(at)}, but the longest trial{of} ends at {length} {longest}")


def _further_readings(sweep: Sweep) -> Iterator[tuple[Place, Endpoint, Mapping[str, str]]]:
    """Yield the readings that differ from the endpoint, each with its place and the labels it is read at."""
    shown: tuple[tuple[str, Sequence[TableSpec | FigureSpec]], ...] = (
        ("tables", sweep.tables),
        ("figures", sweep.figures),
    )
    for kind, entries in shown:
        for number, entry in enumerate(entries):
            if entry.endpoint is not None:
                yield ("report", kind, number), entry.endpoint, {}
    for number, claim in enumerate(sweep.claims):
        for side in (claim.of, claim.minus, *(claim.less or ())):
            if side.endpoint not in sweep.endpoint.each:
                yield ("claims", number), side.endpoint, side.labels


def _check_reading(
    place: Place,
    endpoint: Endpoint,
    labels: Mapping[str, str],
    configs: Sequence[tuple[Cell, BaseModel]],
    faults: Faults,
) -> None:
    reasons: dict[tuple[str, str], str] = {}
    for cell, config in configs:
        if labels.items() <= cell.labels.items():
            trainer = cell.found.trainer
            read = endpoint.of_trainer(trainer.name)
            for one in filter(None, (read, read.validation)):
                at = "last" if one.at == BEST_VAL else one.at
                wanted = Wanted(one.metric, dict(one.coordinates), at, one.window)
                too = f", and {BEST_VAL} reads validation too" if one is read.validation else ""
                for key, reason in trainer.unmeasured(config, wanted):
                    reasons.setdefault((key, f"{reason}{too}"), cell.name)
    for (key, reason), name in reasons.items():
        faults.add((*place, key) if place == ("endpoint",) else place, f"{reason} (at {name})")
