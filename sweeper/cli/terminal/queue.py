"""What Slurm has of a plan, for the commands that only look."""

from collections.abc import Sequence

from analysis.contract.lifecycle import FINISHED
from sweeper.cli.terminal.printing import say
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.standing import Queued, complaints, look, queued, with_queue
from sweeper.results.paths import Results
from sweeper.results.survey import Standing
from sweeper.search.trials import KnownSearch


def in_slurm(
    standings: Sequence[Standing], results: Results, searches: Sequence[KnownSearch]
) -> tuple[list[Standing], Queued | None]:
    """Return the standings with what Slurm has of them, and that itself; None where it has nothing.

    A Slurm that does not answer is said, and hides nothing else. Slots that may not train, or that are not queued again
    though something is left, are said too.
    """
    if any(standing.state not in FINISHED for standing in standings):
        for line in complaints(results):
            say(line)
    try:
        found = look(results)
    except SlurmError as error:
        say(f"what Slurm has is not shown: {error}")
        return list(standings), None
    if all(live.over for live in found):
        return list(standings), None
    of = queued(standings, found, results, searches)
    return with_queue(standings, of), of


def queue_lines(searches: Sequence[KnownSearch], of: Queued | None) -> list[str]:
    """Return a line for each search that slots go on with, or will."""
    told = {} if of is None else of.searches
    return [
        f"search {name} in Slurm: {told[name]}" for name in (one.search.search_id for one in searches) if name in told
    ]
