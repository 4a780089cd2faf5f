"""The engine of each trial of a run: kept for life, equal in a cell, and else the fastest that can train it."""

import pytest

from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.results.survey import survey
from sweeper.running.engine_choice import engines_of
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import finish


def chosen(specs, standings=(), wanted=None):
    return list(engines_of(specs, standings, "cpu", wanted).values())


def test_a_new_trial_takes_the_fastest_engine_that_can_train_it(write_sweep, specs):
    assert set(chosen(specs)) == {"compiled"}
    explicit = expand(load(write_sweep("  use: strokes\n  algorithm: contrastive")))
    assert set(chosen(explicit)) == {"fused"}


def test_a_trial_keeps_its_engine_and_new_seeds_take_that_of_their_cell(specs, results):
    finish(results, specs[0])  # by the loop
    standings = survey(results, specs).standings
    cell = [spec.cell == specs[0].cell for spec in specs]
    assert chosen(specs, standings) == ["loop" if same else "compiled" for same in cell]
    assert sum(cell) > 1
    assert chosen(specs, standings, "vmap") == ["loop", *["vmap"] * (len(specs) - 1)]


def test_an_engine_that_cant_train_a_trial_is_refused(write_sweep):
    explicit = expand(load(write_sweep("  use: strokes\n  algorithm: contrastive")))
    with pytest.raises(SweepError, match="can't run here: the compiled engine has no explicit losses"):
        chosen(explicit, wanted="compiled")
    with pytest.raises(SweepError, match="engine graph is not for device cpu; choose from compiled, fused, loop, vmap"):
        chosen(explicit, wanted="graph")
