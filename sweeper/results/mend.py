"""Cuts a damaged journal back to its sound lines, and keeps the damaged file beside it. Trains nothing.

Only on request: no other part of sweeper cuts a whole line off a journal. The trial then goes on as after any crash:
from its newest whole checkpoint, whose records the worker sends again.
"""

from collections.abc import Iterable, Mapping

from sweeper.errors import SweepError
from sweeper.results.damage import Damage, damage_of
from sweeper.results.journal_form import readable
from sweeper.results.journal_lines import split_lines
from sweeper.results.locks import all_held
from sweeper.results.paths import Results, TrialPaths, storage_explained, until_free
from trainers.sealed_file import write_whole


def mend(results: Results, trial_ids: Iterable[str]) -> Mapping[str, str]:
    """Cut the damaged journal of each trial and return, by id, a sentence that says what was kept where.

    Raises SweepError, with nothing changed, if another process holds one of the trials, ResultsError.
    """
    wanted = list(dict.fromkeys(trial_ids))
    with storage_explained(results.root), all_held(results, wanted, "a mend"):
        damages = {trial_id: damage_of(results.trial(trial_id)) for trial_id in wanted}
        return {
            trial_id: _mend(results.trial(trial_id), damage)
            for trial_id, damage in damages.items()
            if damage is not None  # else another process has mended it meanwhile
        }


def _mend(paths: TrialPaths, damage: Damage) -> str:
    _fence(paths, damage)
    *_, aside = until_free(paths.damaged)
    write_whole(aside, damage.content)
    write_whole(paths.journal, damage.sound)
    kept = len(split_lines(damage.sound))
    return f"{kept} sound line{'s' * (kept != 1)} of its journal kept; the damaged file is {aside}"


def _fence(paths: TrialPaths, damage: Damage) -> None:
    """Take the next attempt, so that a process that still writes an earlier one stops, even where locks don't work."""
    named = (line.attempt for line in map(readable, split_lines(damage.content)) if line is not None)
    number = 1 + max([paths.last_attempt(), *named])
    try:
        paths.attempt(number).mkdir()
    except FileExistsError:
        raise SweepError(
            f"{paths.folder.name}: another run has just begun attempt {number}; nothing was mended"
        ) from None
