"""Checks that the trials of a sweep measure the numbers that its file reads: endpoint, tables, figures, claims."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.contract.question import Endpoint, FigureSpec, TableSpec
from analysis.contract.record import PROBES
from sweeper.planning.grid import Cell
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.maml.config import TrialConfig


def check_readings(sweep: Sweep, configs: Sequence[tuple[Cell, TrialConfig]], faults: Faults, *, whole: bool) -> None:
    """Note every number that the file reads from a trial that never measures it. `whole`: the grid has no profile."""
    _check_reading(("endpoint",), sweep.endpoint, {}, configs, faults)
    for place, endpoint, labels in _further_readings(sweep):
        _check_reading(place, endpoint, labels, configs, faults)
    for number, figure in enumerate(sweep.figures):
        if figure.kind == "curves" and (figure.endpoint or sweep.endpoint).metric == "final_accuracy":
            why = "a curve is made of evaluations along the training; say metric: test_accuracy for this figure"
            faults.add(("report", "figures", number), f"final_accuracy is measured once, but {why}")
    at = sweep.endpoint.at
    longest = max((config.outer_steps for _, config in configs), default=0)
    if whole and configs and at != "last" and max(at) > longest:
        faults.add(("endpoint", "at"), f"step {max(at)}, but the longest trial ends at outer_steps {longest}")


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
            if side.endpoint != sweep.endpoint:
                yield ("claims", number), side.endpoint, side.labels


def _check_reading(
    place: Place,
    endpoint: Endpoint,
    labels: Mapping[str, str],
    configs: Sequence[tuple[Cell, TrialConfig]],
    faults: Faults,
) -> None:
    reasons: dict[tuple[str, str], str] = {}
    for cell, config in configs:
        if labels.items() <= cell.labels.items():
            for key, reason in _unanswerable(endpoint, config):
                reasons.setdefault((key, reason), cell.name)
    for (key, reason), name in reasons.items():
        faults.add((*place, key) if place == ("endpoint",) else place, f"{reason} (at {name})")


def _unanswerable(endpoint: Endpoint, config: TrialConfig) -> Iterator[tuple[str, str]]:
    """Yield the key of `endpoint` and the reason if a trial of `config` never measures it."""
    if endpoint.metric in PROBES:
        if config.probe_every == 0:
            yield "metric", f"{endpoint.metric} is never measured, because probe_every is 0"
            return
        steps = (config.outer_steps,) if endpoint.at == "last" else endpoint.at
        first, every = config.probe_first, config.probe_every
        off = [step for step in steps if step < first or (step - first) % every]
        if off:
            yield "at", f"no probe is taken at step {off[0]}, but at {first}, {first + every}, {first + 2 * every}, ..."
        return
    head, given_steps = endpoint.scoring
    wanted = config.inner_steps if given_steps == "inner_steps" else given_steps
    if endpoint.metric == "final_accuracy":
        yield from _unanswered_at_last(endpoint, config, wanted)
        return
    if config.eval_heads not in ("both", head):
        yield "head", f"{head} is never measured, because eval_heads is {config.eval_heads}"
    if not config.eval_each_step and wanted != config.scored_steps:
        yield (
            "steps",
            f"asks for inner step {wanted}, but eval_each_step is false and only {config.scored_steps} is scored",
        )
    elif wanted > config.scored_steps:
        given = f"eval_steps is {config.eval_steps}" if config.eval_steps is not None else "eval_steps is inner_steps"
        yield "steps", f"asks for {wanted} inner steps, but {given} and 0 to {config.scored_steps} are scored"
    measured = f"{config.eval_split}_accuracy"
    if endpoint.metric != measured:
        yield "metric", f"{endpoint.metric} is never measured, because eval_split is {config.eval_split}"


def _unanswered_at_last(endpoint: Endpoint, config: TrialConfig, wanted: int) -> Iterator[tuple[str, str]]:
    """Yield the keys of `endpoint` that the last pass does not measure, with the reasons."""
    if not config.final_episodes:
        yield "metric", "final_accuracy is never measured, because final_episodes is 0"
        return
    if wanted > config.final_scored_steps:
        yield "steps", f"asks for {wanted} inner steps, but the last pass scores 0 to {config.final_scored_steps}"
    if endpoint.at != "last":
        yield "at", "final_accuracy is measured once, when a trial ends; say at: last"
    if endpoint.window != 1:
        yield "window", f"{endpoint.window}, but final_accuracy is measured once; say window: 1"
