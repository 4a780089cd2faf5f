"""Putting a trial's results aside, so that it can be trained again from nothing; nothing is thrown away."""

from collections.abc import Iterable

from sweeper.claims import Claim
from sweeper.errors import SweepError
from sweeper.results import Results


def supersede(results: Results, trial_ids: Iterable[str]) -> None:
    """Move the folder of each trial that has one to `superseded/<id>-<n>`.

    The tracking store's run of the old training is kept too, under another kind, once the new one is shown. Raises
    SweepError for a trial that a living run holds; those before it are moved by then.
    """
    for trial_id in trial_ids:
        paths = results.trial(trial_id)
        if not paths.folder.exists():
            continue
        claim = Claim(paths)
        if not claim.take():
            raise SweepError(f"{trial_id} is being trained; stop it with `sweeper stop {trial_id}` before a rerun")
        try:
            number = 1
            while (aside := results.superseded(trial_id, number)).exists():
                number += 1
            aside.parent.mkdir(exist_ok=True)
            paths.folder.replace(aside)
        finally:
            claim.release()
