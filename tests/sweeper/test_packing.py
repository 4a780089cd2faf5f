"""The size of packs where the user leaves it open."""

import pytest
from click.testing import CliRunner

from sweeper import packing
from sweeper.cli.run import run
from sweeper.errors import SweepError
from sweeper.packing import measured, pack_size
from sweeper.plan import expand
from sweeper.sweepfile import load


def test_a_cpu_trains_trials_by_themselves(specs):
    assert pack_size(specs, "cpu", None)[0] == 1


def test_a_gpu_measures_the_trial_that_needs_most_as_far_as_some_are_alike(write_sweep, monkeypatch):
    asked = []

    def measured(config, *rest):
        asked.append((config["inner_steps"], *rest))
        return 8, ""

    monkeypatch.setattr(packing, "measured", measured)
    specs = expand(load(write_sweep("seeds: 3")))
    assert pack_size(specs, "cuda", None) == (8, "")
    assert asked == [(2, "cuda", None, 3)]
    assert pack_size(expand(load(write_sweep("seeds: 1"))), "cuda", None)[0] == 1
    assert len(asked) == 1


def test_sizes_are_tried_by_a_process_of_its_own(specs):
    runs, why = measured(specs[0].config.model_dump(), "cpu", None, 2, "vmap")
    assert runs in (1, 2)
    assert "1: " in why
    assert "2: " in why


def test_what_can_not_be_measured_is_said_with_what_to_do(specs, tmp_path):
    elsewhere = specs[0].config.model_dump() | {"dataset": "omniglot"}
    with pytest.raises(
        SweepError, match=r"^the size of packs can't be measured: .*; name one with --pack, 1 for none$"
    ):
        measured(elsewhere, "cpu", tmp_path, 2)


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5"])
def test_a_size_that_is_none_is_refused(write_sweep, given):
    result = CliRunner().invoke(run, [str(write_sweep()), "--pack", given])
    assert result.exit_code == 2
    assert f"{given} is neither a whole number from 1 nor the word auto" in result.output
