"""Where a dealer takes further trials from. A plan is the source that is known beforehand, and has none.

A source may be empty now and not over: a search waits for a value before it sends the next trial.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from analysis.contract.lifecycle import Phase
from sweeper.planning.trial_spec import TrialSpec


class Deal(NamedTuple):
    """A trial to train to the target of `spec`, for which sweep, and by which engine if it has not begun."""

    spec: TrialSpec
    sweep: str
    engine: str


class Progress(NamedTuple):
    """How far one part of a source is, for a view: so many of its `total` proposals are `made`, and in words."""

    total: int
    made: int
    words: str


class Source(Protocol):
    """Gives trials one by one. It may give one trial several times, each time with a longer target."""

    @property
    def over(self) -> bool:
        """Whether nothing more comes, now or later."""

    @property
    def examples(self) -> Sequence[TrialSpec]:
        """Trials that are like those to come."""

    @property
    def most(self) -> int:
        """How many trials it may have out at once, at most."""

    @property
    def progress(self) -> Sequence[Progress]:
        """How far it is. Any thread may ask."""

    def next(self) -> Deal | None:
        """Return the next trial, None if there is none now. Raises OSError, SweepError."""

    def heard(self, trial_id: str, phase: Phase) -> None:
        """Take the end of a trial that it has given: the phase in which this run leaves it. Raises OSError."""


class NothingMore:
    """The source of a plan: everything is known beforehand."""

    over = True
    examples: Sequence[TrialSpec] = ()
    most = 0
    progress: Sequence[Progress] = ()

    def next(self) -> Deal | None:
        """See Source."""
        return None

    def heard(self, trial_id: str, phase: Phase) -> None:
        """See Source."""
