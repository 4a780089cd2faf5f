"""Whose turn it is, against the plain definition, which looks at every trial each time."""

import random

import pytest

from sweeper.dealing.dealt_trial import Dealt
from sweeper.dealing.waiting_list import Waiting
from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load
from trainers.maml.config import PACKABLE


@pytest.fixture
def many(write_sweep):
    """Return 3 shapes of 2 rates and 10 seeds each, the shapes not side by side in the plan."""
    path = write_sweep("  inner_steps: [1, 2, 3]", "seeds: 10")
    text = path.read_text().replace("matrix:\n", "matrix:\n  inner_lr: [0.1, 0.2]\n")
    path.write_text(
        text.replace("rows: []", "rows: [inner_lr]").replace("x: inner_steps", "x: inner_steps, hue: inner_lr")
    )
    return expand(load(path))


def shape(trial):
    return {name: value for name, value in trial.spec.config if name not in PACKABLE}


def plain(trials, rest_until, now_s, size_of, point):
    """Return the pack that the plain definition takes."""
    ready = [t for t in trials if t.phase == "waiting" and rest_until[t.spec.trial_id] <= now_s]
    if not ready:
        return []
    first = ready[0]
    size = size_of(first)
    if size == 1:
        return [first]
    alike = [t for t in ready if shape(t) == shape(first) and point[t.spec.trial_id] == point[first.spec.trial_id]]
    return [t for t in alike if t.largest_pack >= size][:size]


@pytest.mark.parametrize("seed", range(20))
def test_every_pack_is_the_one_that_looking_at_all_trials_finds(many, seed):
    draw = random.Random(seed)
    pack = draw.choice([1, 2, 4, 8])
    trials = [Dealt(spec=spec, engine="loop", largest_pack=draw.choice([pack, max(1, pack // 2)])) for spec in many]
    point = {spec.trial_id: draw.choice([0, 0, 0, 20]) for spec in many}
    waiting, now_s = Waiting(trials, lambda trial: point[trial.spec.trial_id]), 0.0
    rest_until, out, taken = {spec.trial_id: 0.0 for spec in many}, [], 0

    def size_of(trial):
        return min(trial.largest_pack, pack)

    while out or any(trial.phase == "waiting" for trial in trials):
        now_s += draw.random()
        wanted = plain(trials, rest_until, now_s, size_of, point)
        first = waiting.take(now_s)
        found = [] if first is None else [first]
        if found and size_of(first) > 1:
            found += waiting.take_mates(first, size_of(first))
        assert [t.spec.name() for t in found] == [t.spec.name() for t in wanted]
        for trial in found:
            trial.phase = "running"
        out += found
        taken += len(found)
        idle = [trial for trial in trials if trial.phase == "waiting"]
        if idle and draw.random() < 0.05:  # `sweeper stop ID`
            draw.choice(idle).phase = "interrupted"
        for trial in [trial for trial in out if draw.random() < 0.3]:
            out.remove(trial)
            if draw.random() < 0.5 and trial.lost < 3:
                trial.lost, trial.phase = trial.lost + 1, "waiting"
                trial.largest_pack = draw.choice([1, max(1, trial.largest_pack // 2)])
                rest_until[trial.spec.trial_id] = now_s + draw.choice([0.0, 2.0])
                if draw.random() < 0.5:
                    point[trial.spec.trial_id] = draw.choice([20, 40])
                waiting.put_back(trial, rest_until[trial.spec.trial_id])
            else:
                trial.phase = "done"
    assert taken > len(many)


class Watched(Dealt):
    """A trial that counts how often anybody looks where it is."""

    looks = 0

    def __getattribute__(self, name):
        if name == "phase":
            Watched.looks += 1
        return super().__getattribute__(name)


@pytest.mark.parametrize("pack", [1, 8])
def test_taking_all_trials_looks_at_each_a_few_times_and_not_at_all_each_time(many, pack):
    trials = [Watched(spec=spec, engine="loop", largest_pack=pack) for spec in many]
    Watched.looks, taken = 0, 0
    waiting = Waiting(trials, lambda trial: 0)
    while (first := waiting.take(0.0)) is not None:
        members = [first, *(waiting.take_mates(first, pack) if pack > 1 else [])]
        taken += len(members)
        for trial in members:
            trial.phase = "done"
    assert taken == len(many) == 60
    assert Watched.looks <= 3 * len(many)
