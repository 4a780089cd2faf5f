"""From planned trials to the frozen part of a submission, and back to what a dealer deals. Reads no sweep file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeper.errors import SweepError
from sweeper.executors.slurm.content import Content, FrozenTrial
from sweeper.planning.grid import Cell
from sweeper.planning.identity import identify, identity, trial_id
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.fields import SEED
from sweeper.sweepfile.trainer_key import Found
from trainers.registry import find
from trainers.trainer import Reference, Trainer


class OtherTrialError(SweepError):
    """A frozen trial that the code here would give another id."""

    exit_code = 4


def frozen(
    specs: Iterable[TrialSpec], sweeps: Mapping[str, str], engines: Mapping[str, str], attempts: Mapping[str, int]
) -> tuple[list[FrozenTrial], list[dict[str, Any]]]:
    """Return the trials, and the references of their trainers, as plain data. The mappings are by a trial's id."""
    references: dict[str, int] = {}
    trials = []
    for spec in specs:
        says = json.dumps({"says": spec.reference.says, "folder": spec.reference.folder}, sort_keys=True)
        trials.append(
            FrozenTrial(
                trial_id=spec.trial_id,
                point=spec.point,
                cell=spec.cell,
                cell_name=spec.cell_name,
                seed=spec.seed,
                recipe=dict(spec.recipe),
                digest=spec.digest,
                config=spec.config.model_dump(),
                target=spec.target,
                sweep=sweeps[spec.trial_id],
                engine=engines[spec.trial_id],
                reference=references.setdefault(says, len(references)),
                attempt=attempts.get(spec.trial_id, 0),
            )
        )
    return trials, [json.loads(says) for says in references]


def thawed(content: Content) -> list[TrialSpec]:
    """Return the trials of a submission, in their order. Raises OtherTrialError, TrainerError, ConfigError."""
    references = [Reference(found["says"], found["folder"]) for found in content["references"]]
    trainers = [find(reference) for reference in references]
    cells: dict[tuple[int, str], tuple[Cell, Any]] = {}
    specs = []
    for trial in content["trials"]:
        number = trial["reference"]
        key = number, json.dumps({**trial["config"], SEED: 0}, sort_keys=True)
        if key not in cells:
            found, name = Found(references[number], trainers[number]), trial["cell_name"]
            cell = Cell(choice=(), labels={}, protocol={}, given={}, defaults={}, name=name, found=found, left_out={})
            cells[key] = cell, trainers[number].resolve(trial["config"])
        cell, config = cells[key]
        _check(trial, trainers[number], config)
        specs.append(
            TrialSpec(
                trial_id=trial["trial_id"],
                point=trial["point"],
                cell=trial["cell"],
                seed=trial["seed"],
                recipe=trial["recipe"],
                digest=trial["digest"],
                grid_cell=cell,
                cell_config=config,
                seed_origin="",
                trainer=trainers[number],
                reference=references[number],
            )
        )
    return specs


def _check(trial: FrozenTrial, trainer: Trainer, config: Any) -> None:
    point = identify({**identity(trainer, config), SEED: trial["seed"]})
    found = trial_id(point=point, digest=trial["digest"], recipe=trainer.recipe(config))
    if found != trial["trial_id"]:
        raise OtherTrialError(
            f"{trial['trial_id']}: the code here gives this trial the id {found}; install the code that submitted it"
        )


def rotated(specs: Sequence[TrialSpec], slot: int, slots: int) -> list[TrialSpec]:
    """Return the trials in the order in which slot number `slot` of `slots` takes them: each begins elsewhere.

    So that slots that begin together don't ask for the same trial.
    """
    first = len(specs) * (slot % max(slots, 1)) // max(slots, 1)
    return [*specs[first:], *specs[:first]]
