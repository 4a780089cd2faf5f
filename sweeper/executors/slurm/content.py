"""The frozen part of a submission, as its file holds it: plain data."""

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from sweeper.executors.slurm.frozen_search import Searched

if TYPE_CHECKING:
    from sweeper.executors.node_check import Asked

FORM = 1


class FrozenTrial(TypedDict):
    """One planned trial with all that it takes to train it. `reference` is the number of its trainer's reference.

    `attempt` is the number of its last attempt before the submission, 0 for none: what failed later stays failed.
    """

    trial_id: str
    point: str
    cell: str
    cell_name: str
    seed: int
    recipe: dict[str, int]
    digest: str
    config: dict[str, Any]
    target: int
    sweep: str
    engine: str
    reference: int
    attempt: int


class Content(TypedDict):
    """The frozen part. `parts` maps the name of each array to its number of elements; the names begin with `token`.

    `pack` is 0 if the slots measure it. `begun` has the size of the pack in which a trial began, by its id.
    """

    form: int
    token: str
    by: str
    created_ms: int
    experiments: list[str]
    device: str
    pack: int
    timeout_s: float
    retry_failed: bool
    data: dict[str, dict[str, str]]
    asked: "Asked"
    options: dict[str, str | bool]
    waits_for: list[str]
    parts: dict[str, int]
    references: list[dict[str, Any]]
    trials: list[FrozenTrial]
    searched: NotRequired[Searched]
    begun: NotRequired[dict[str, int]]
