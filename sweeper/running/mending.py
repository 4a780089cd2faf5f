"""Which damaged journals a run mends before it trains, and where those trials stand afterwards. Changes no file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweeper.errors import SweepError
from sweeper.planning.selectors import select
from sweeper.results.accepted_codes import AcceptedCodes, accepted_codes
from sweeper.results.damage import Damage, damage_of
from sweeper.results.journal_lines import NewerJournalError, split_lines
from sweeper.results.locks import being_trained, holder_of
from sweeper.results.paths import Results, storage_explained
from sweeper.results.survey import Batch, Standing, judge
from sweeper.results.trial_summary import TrialSummary, summary_of
from trainers.trainer import ConfigError


@dataclass(frozen=True, kw_only=True)
class Mending:
    """`batch` as it stands after the mend of the journals of `trials`. `remarks` name the trials that need none."""

    batch: Batch
    trials: Sequence[str]
    remarks: Sequence[str]


def mending(batch: Batch, results: Results, selectors: Sequence[str], rerun: Sequence[str]) -> Mending:
    """Return what `--mend` with the `selectors` has to do.

    Raises SweepError for a selector that picks nothing, for a trial that a living process holds, and for a trial that
    `--rerun` picks too.
    """
    if not selectors:
        return Mending(batch=batch, trials=(), remarks=())
    specs = [standing.spec for standing in batch.standings]
    again = {spec.trial_id for spec in select(specs, rerun, "--rerun")} if rerun else set()
    after: dict[str, TrialSummary | None] = {}
    remarks: dict[str, str] = {}
    with storage_explained(results.root):
        for trial_id in dict.fromkeys(spec.trial_id for spec in select(specs, selectors, "--mend")):
            if trial_id in again:
                raise SweepError(f"{trial_id}: --mend and --rerun both pick it; leave it to one of them")
            try:
                damage = damage_of(results.trial(trial_id))
                if damage is None:
                    remarks[trial_id] = f"{trial_id}: its journal is sound, so it is not mended"
                elif holder_of(results.trial(trial_id)) is not None:
                    raise being_trained(trial_id, "a mend")
                else:
                    after[trial_id] = _summary_after(damage)
            except (NewerJournalError, ConfigError):
                remarks[trial_id] = f"{trial_id}: its journal is from a newer sweeper, so it is not mended"
    return Mending(
        batch=_as_after(batch, after, accepted_codes(results)), trials=list(after), remarks=list(remarks.values())
    )


def _summary_after(damage: Damage) -> TrialSummary | None:
    return summary_of([json.loads(line) for line in split_lines(damage.sound)])


def _as_after(batch: Batch, after: Mapping[str, TrialSummary | None], accepted: AcceptedCodes) -> Batch:
    def standing(found: Standing) -> Standing:
        if found.spec.trial_id not in after:
            return found
        summary = after[found.spec.trial_id]
        state, why = judge(summary, found.spec.target, held=False)
        code = summary.code if summary is not None else ""
        changed = not accepted.equal(found.spec.trainer.name, code, found.code)
        return replace(found, state=state, why=why, summary=summary, changed=changed)

    parts = []
    for part in batch.parts:
        known = {name: summary for name, summary in part.survey.summaries.items() if name not in after}
        known |= {name: summary for name, summary in after.items() if summary is not None}
        standings = [standing(found) for found in part.survey.standings]
        parts.append(replace(part, survey=replace(part.survey, standings=standings, summaries=known)))
    return replace(batch, parts=tuple(parts))
