"""The states of a trial, and the one table of what leads from one state to another; imports nothing of ours.

`Status` is what a journal says, `State` where a planned trial stands, `Phase` where a trial is within one run, and
`UpdateStatus` what a worker reports. A journal starts at "new", and `NEXT` is applied to each of its lines; a run
starts at "waiting", and `NEXT` is applied to each event of the run. What a trainer itself says of a training is
`trainers.maml.chunk.RunStatus` (running, done, diverged), the first three of an `UpdateStatus`.

Two facts are no part of the table. A journal can't know that its run died: `State` is "interrupted" for a trial that
is "running" in the journal and whose lock nobody holds. It can't know the target either: `sweeper.results.survey.judge`
compares the step that was reached with the step that is wanted.
"""

from collections.abc import Mapping
from typing import Literal, cast

Status = Literal["running", "done", "diverged", "failed", "interrupted"]
State = Literal["done", "diverged", "running", "interrupted", "failed", "new"]
Phase = Literal["waiting", "running", "done", "diverged", "failed", "interrupted", "skipped"]
UpdateStatus = Literal["running", "done", "diverged", "stopped", "failed", "memory", "storage", "unfit"]
"""`stopped`: saved and left on request. `failed`: an exception of the trainer. `memory`: too little memory. `storage`:
the results folder is full or read-only. `unfit`: a machine that may not train for this run.
"""

End = Literal["done", "diverged", "failed", "interrupted"]
LineKind = Literal["attempt", "record", "done", "diverged", "failed", "interrupted"]
"""The kinds of a journal's lines. Each is an event: a new attempt, a measurement, or an attempt's end."""
Event = Literal["attempt", "record", "done", "diverged", "failed", "interrupted", "put_back", "skip"]
"""What can happen to a trial. The last two happen within a run and leave no line in the journal."""

STATES: tuple[State, ...] = ("done", "diverged", "running", "interrupted", "failed", "new")
FINISHED: frozenset[State] = frozenset({"done", "diverged"})
"""The states in which a run leaves a trial as it is."""
OPEN: frozenset[Phase] = frozenset({"waiting", "running"})
"""The phases of a trial that a run still has to end."""
ENDS: tuple[End, ...] = ("done", "diverged", "failed", "interrupted")

_GOES_ON: Mapping[Event, Phase] = {
    "attempt": "running",  # its run died and another one goes on, or a longer target, or --retry-failed
    "record": "running",
    "done": "done",
    "diverged": "diverged",
    "failed": "failed",
    "interrupted": "interrupted",
}
NEXT: Mapping[State | Phase, Mapping[Event, Phase]] = {
    "new": {"attempt": "running"},
    "waiting": {"attempt": "running", "interrupted": "interrupted", "skip": "skipped"},
    "running": _GOES_ON,
    # After an end only an attempt is written, unless two runs held one trial where locks do not lock. Their journal
    # stays readable: its last line decides.
    "done": _GOES_ON,
    "diverged": _GOES_ON,
    "failed": _GOES_ON,
    "interrupted": {**_GOES_ON, "put_back": "waiting"},
    "skipped": {},
}
"""`NEXT[state][event]` is the next state. An event that a state lacks can't happen in it."""

EVENT_OF: Mapping[UpdateStatus, End | Literal["record"]] = {
    "running": "record",
    "done": "done",
    "diverged": "diverged",
    "stopped": "interrupted",
    "failed": "failed",
    "memory": "failed",
    "storage": "interrupted",
    "unfit": "interrupted",
}
"""The event that a worker's report is for a trial that trains alone. In a pack, `failed` and `memory` interrupt the
trials and put them back, in smaller packs.
"""


def after_line(state: State, kind: LineKind) -> Status:
    """Return the state of a journal after one more line. Raises KeyError for a line that can't follow in `state`."""
    return cast(Status, NEXT[state][kind])  # no line leads to the two phases that are no status
