"""Where the members of a pack go on: from their furthest whole checkpoints, or from the beginning. Trains nothing."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from sweeper.dealing.assignment import Member
from sweeper.results.paths import FURTHEST, TrialPaths
from trainers.trainer import CheckpointError, Trainer, TrainerError


class Start(NamedTuple):
    """Where a member goes on: its state, that state's position and file ("": none), and errors of damaged files."""

    state: Any
    position: Any
    file: str
    damaged: list[str]


def start_of(trainer: Trainer, member: Member) -> Start:
    """Return the state in the member's furthest whole checkpoint of any attempt, or that before the first step."""
    config, damaged = trainer.resolve(member["config"]), list[str]()
    for path in TrialPaths(Path(member["folder"])).checkpoints(_target(trainer, config)) if trainer.resumes else []:
        try:
            state = trainer.load(path)
        except CheckpointError as error:
            damaged.append(str(error))
        else:
            return Start(state, _point(trainer, config, state), f"{path.parent.name}/{path.name}", damaged)
    state = trainer.begun(config)
    return Start(state, _point(trainer, config, state), "", damaged)


def _point(trainer: Trainer, config: BaseModel, state: Any) -> Any:
    """Return where a run goes on from `state`. Raises TrainerError for what is no point."""
    point = trainer.point(config, state)
    if not isinstance(point, tuple) or not point or isinstance(point[0], bool) or not isinstance(point[0], int):
        raise TrainerError(
            f"trainer {trainer.name}: point must return a tuple that begins with the step, got {point!r}"
        )
    return point


def _target(trainer: Trainer, config: BaseModel) -> int:
    """Return the last step to which a checkpoint may be of use."""
    return getattr(config, trainer.length) if trainer.length else FURTHEST


def of_most(positions: list[Any]) -> Any:
    """Return the most frequent position; of equally frequent ones that of the latest step."""
    counts = Counter(positions)

    def order(position: Any) -> tuple[int, ...]:
        return counts[position], *(number for number in position if isinstance(number, int))

    return max(counts, key=order)
