"""The tracking store of one `sweeper run`: its views, and how it gets what it lacks at the end."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.cli.terminal.printing import say
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.results.survey import Batch, SurveyedSweep
from sweeper.running.batch import part_again
from sweeper.tracking.address import masked
from sweeper.tracking.turns import leave_behind, turns_of
from trainers.sealed_file import write_whole

if TYPE_CHECKING:
    from sweeper.tracking.mlflow_tracker import MlflowTracker
    from sweeper.tracking.syncer import Views


@dataclass(frozen=True, kw_only=True)
class Store:
    """The tracking store of one run. `words` are the arguments with which `sweeper sync` brings it up to date later.

    `variant` are those of them that choose a profile and other values.
    """

    batch: Batch
    results: Results
    uri: str
    named: bool
    words: Sequence[str]
    variant: Sequence[str]

    def views(self) -> "Views":
        """Return the views of the batch. They push what shows a whole sweep last."""
        from sweeper.reporting.endpoint_metric import endpoint_reader
        from sweeper.reporting.store_pages import push_pages
        from sweeper.reporting.sweep_answer import push_cells_as_answer
        from sweeper.tracking.views import views_of

        def last(tracker: "MlflowTracker", part: SurveyedSweep) -> None:
            now = part_again(part, self.results)
            push_cells_as_answer(tracker, now, push_pages(tracker, now, self.results))

        return views_of(
            self.batch,
            self.results,
            self.uri,
            last,
            lambda part: endpoint_reader(part.sweep),
        )

    def showing(self, views: "Views") -> Callable[[SurveyedSweep, TrialSpec], None]:
        """Return what lets `views` show a trial that a search has just named."""
        from sweeper.reporting.endpoint_metric import endpoint_reader
        from sweeper.tracking.views import swept_in, tracked_trial

        def show(part: SurveyedSweep, spec: TrialSpec) -> None:
            number = self.batch.parts.index(part)
            views.add(number, tracked_trial(part, spec, swept_in(part), endpoint_reader(part.sweep)))

        return show

    def bring_up(self) -> None:
        """Send the store what it lacks of trials that need no training, and print what it still lacks."""
        from sweeper.tracking.views import catch_up

        views = self.views()
        self.tell(views, catch_up(self.batch, self.results, self.uri, views))

    def tell(self, views: "Views", behind: int, *, stopped: bool = False) -> None:
        """Print which runs were deleted in the store, what the store lacks, and who sends that.

        `behind` is the number of trials that the store lacks. A background process sends them, unless the run was
        `stopped` or the store fails; then the user must.
        """
        for trial_id in views.deleted:
            say(f"{trial_id}: its run was deleted in the store and is not made again")
        if not (behind or views.problem or views.late):
            return
        counted = f"{behind} trials are" if behind else "the summaries of cells are"
        lacking = f"{counted} not yet in {masked(self.uri)}" if behind or views.late else views.problem
        if views.problem and views.problem != lacking:
            say(views.problem)
        pid = self._leave_behind() if views.late and not stopped else None
        if pid is None:
            say(f"{lacking}; once the store answers, this sends the rest: {self._command()}")
        else:
            say(
                f"{lacking}; they are sent in the background by process {pid}, and `sweeper report` waits for it; "
                f"its log: {self.results.sync_log}"
            )

    def _leave_behind(self) -> int | None:
        """Start the process with copies of the sweep files: a person may edit, move or delete them meanwhile."""
        turns = [turns_of(self.results, part.experiment, self.uri) for part in self.batch.parts]
        try:
            copies = [self._kept(part) for part in self.batch.parts]
            words = [*map(str, copies), "--results", str(self.results.root), *self.variant]
            return leave_behind(turns, self.results, self.uri, words)
        except OSError:  # no room for a log or a process; the command does the same later
            return None

    def _kept(self, part: SurveyedSweep) -> Path:
        copy = self.results.run(part.experiment).sweep
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_whole(copy, part.sweep.document.text.encode())
        return copy

    def _command(self) -> str:
        return shlex.join(
            ["sweeper", "sync", *self.words, *(["--tracking-uri", masked(self.uri)] if self.named else [])]
        )
