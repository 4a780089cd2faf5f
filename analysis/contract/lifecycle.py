"""The states of a trial, and one table of the events that lead from state to state. Imports nothing of this project.

`Status` is a trial's state in its journal, `State` the state of a planned trial, `Phase` its state within one run, and
`UpdateStatus` a worker's report. A journal starts at "new", and each of its lines is an event for `NEXT`. A run starts
at "waiting", and `NEXT` is applied to each of its events. A trainer's own report on a training is
`trainers.maml.run_state.RunStatus`: the first three values of `UpdateStatus`.

The table leaves two facts out. A journal can't know that its run died: a trial that is "running" in its journal, and
whose lock is free, has the `State` "interrupted". A journal can't know the target either:
`sweeper.results.survey.judge` compares the step that was reached with the step that is wanted.
"""

from collections.abc import Mapping
from typing import Literal, cast

Status = Literal["running", "done", "diverged", "failed", "interrupted"]
State = Literal["done", "diverged", "running", "interrupted", "failed", "new"]
Phase = Literal["waiting", "running", "done", "diverged", "failed", "interrupted", "skipped"]
UpdateStatus = Literal[
    "running", "done", "diverged", "stopped", "failed", "memory", "storage", "unfit", "alone", "changed"
]
"""`stopped`: saved and stopped on request. `failed`: the trainer raised an exception. `memory`: too little memory.
`storage`: a file of the project can't be read or written. `unfit`: this machine may not train for this run.
`alone`: its checkpoint is at another point than those of its pack, so it has to train by itself.
`changed`: the code of its trainer is not that with which the run began.
"""

End = Literal["done", "diverged", "failed", "interrupted"]
LineKind = Literal["attempt", "record", "done", "diverged", "failed", "interrupted"]
"""The kinds of a journal's lines. Each is an event: a new attempt, a measurement, or the end of an attempt."""
Event = Literal["attempt", "record", "done", "diverged", "failed", "interrupted", "put_back", "skip"]
"""The events of a trial. The last two happen within a run and leave no line in the journal."""

STATES: tuple[State, ...] = ("done", "diverged", "running", "interrupted", "failed", "new")
FINISHED: frozenset[State] = frozenset({"done", "diverged"})
"""A run doesn't train a trial in one of these states."""
OPEN: frozenset[Phase] = frozenset({"waiting", "running"})
"""A run is over when no trial is in one of these phases."""
ENDS: tuple[End, ...] = ("done", "diverged", "failed", "interrupted")

_GOES_ON: Mapping[Event, Phase] = {
    "attempt": "running",  # a new run continues after a crash, to a longer target, or with --retry-failed
    "record": "running",
    "done": "done",
    "diverged": "diverged",
    "failed": "failed",
    "interrupted": "interrupted",
}
NEXT: Mapping[State | Phase, Mapping[Event, Phase]] = {
    "new": {"attempt": "running"},
    "waiting": {"attempt": "running", "interrupted": "interrupted", "skip": "skipped"},
    "running": {**_GOES_ON, "skip": "skipped"},  # another run has taken the trial over
    # After an end only an attempt follows, unless two runs wrote one journal on a file system without working locks.
    # That journal stays readable: its last line decides.
    "done": _GOES_ON,
    "diverged": _GOES_ON,
    "failed": _GOES_ON,
    "interrupted": {**_GOES_ON, "put_back": "waiting"},
    "skipped": {},
}
"""`NEXT[state][event]` is the next state. An event that isn't listed for a state can't happen in it."""

EVENT_OF: Mapping[UpdateStatus, End | Literal["record"]] = {
    "running": "record",
    "done": "done",
    "diverged": "diverged",
    "stopped": "interrupted",
    "failed": "failed",
    "memory": "failed",
    "storage": "interrupted",
    "unfit": "interrupted",
    "alone": "interrupted",
    "changed": "interrupted",
}
"""A worker's report on a trial that trains alone -> its event. In a pack, `failed` and `memory` interrupt the trials,
which are then put back in smaller packs.
"""


def after_line(state: State, kind: LineKind) -> Status:
    """Return the state of a journal after one more line. Raises KeyError if no such line can follow in `state`."""
    return cast(Status, NEXT[state][kind])  # no line leads to "waiting" or "skipped", the two phases that are no status
