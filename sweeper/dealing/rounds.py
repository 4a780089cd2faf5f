"""The rounds of a run: a trial with several targets is trained to each in turn, shorter ones first. Trains nothing."""

from collections import Counter
from collections.abc import Iterable

from sweeper.planning.trial_spec import TrialSpec


def rounds(todo: Iterable[TrialSpec]) -> list[list[TrialSpec]]:
    """Return `todo` in rounds, shorter targets first. A round has each trial at most once."""
    found: list[list[TrialSpec]] = []
    taken: Counter[str] = Counter()
    for spec in sorted(todo, key=lambda spec: spec.target):
        if taken[spec.trial_id] == len(found):
            found.append([])
        found[taken[spec.trial_id]].append(spec)
        taken[spec.trial_id] += 1
    order = {spec.trial_id: number for number, spec in enumerate(todo)}
    return [sorted(specs, key=lambda spec: order[spec.trial_id]) for specs in found]
