"""What Slurm has of a plan, for the commands that only look."""

from collections.abc import Sequence

from sweeper.cli.terminal.printing import say
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.standing import Queued, look, queued, with_queue
from sweeper.results.paths import Results
from sweeper.results.survey import Standing


def in_slurm(standings: Sequence[Standing], results: Results) -> tuple[list[Standing], Queued | None]:
    """Return the standings with what Slurm has of them, and that itself; None where it has nothing.

    A Slurm that does not answer is said, and hides nothing else.
    """
    try:
        found = look(results)
    except SlurmError as error:
        say(f"what Slurm has is not shown: {error}")
        return list(standings), None
    if all(live.over for live in found):
        return list(standings), None
    of = queued(standings, found, results)
    return with_queue(standings, of), of
