"""The size of packs where the user leaves it open."""

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli.run import run
from sweeper.dealing import pack_size as packing
from sweeper.dealing.pack_size import check_share, measured, pack_size
from sweeper.errors import SweepError
from sweeper.executors.ray.place import room_on, slot_of
from sweeper.host.devices import gpu_share
from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load

DATA = Path("data")


def test_a_cpu_trains_trials_by_themselves(specs):
    assert pack_size(specs, {spec.trial_id: 4 for spec in specs}, "cpu", DATA)[0] == 1


def test_a_gpu_measures_the_trial_that_needs_most_as_far_as_some_are_alike(write_sweep, monkeypatch):
    asked = []

    def measured(spec, *rest):
        asked.append((spec.config.inner_steps, *rest))
        return {"runs": 8, "measured": [{"runs": 8, "step_s": 0.01}]}

    monkeypatch.setattr(packing, "measured", measured)
    specs = expand(load(write_sweep("seeds: 3")))
    assert pack_size(specs, {}, "cuda", DATA) == (8, "measured, 8: 10 ms a step")
    assert asked == [(2, "cuda", DATA, 3)]
    assert pack_size(expand(load(write_sweep("seeds: 1"))), {}, "cuda", DATA)[0] == 1
    assert len(asked) == 1


@pytest.mark.parametrize("before", [16, 1])
def test_trials_that_have_begun_keep_the_size_of_their_pack(specs, monkeypatch, before):
    """Measuring again could find another size, and a GPU rounds by size."""
    calls = []
    monkeypatch.setattr(packing, "measured", lambda *given: calls.append(given))
    begun = {spec.trial_id: size for spec, size in zip(specs, (1, before, 1, 1), strict=True)}
    assert pack_size(specs, begun, "cuda", DATA) == (before, "as the trials began")
    assert calls == []


@pytest.mark.parametrize(("before", "found", "size"), [(16, 8, 16), (4, 8, 8)])
def test_new_trials_beside_those_that_have_begun_are_measured(specs, monkeypatch, before, found, size):
    result = {"runs": found, "measured": [{"runs": found, "step_s": 0.01}]}
    monkeypatch.setattr(packing, "measured", lambda *given: result)
    assert pack_size(specs, {specs[0].trial_id: before}, "cuda", DATA)[0] == size


@pytest.mark.slow
def test_sizes_are_tried_by_a_process_of_its_own(specs, tmp_path):
    found = measured(specs[0], "cpu", tmp_path, 2, "vmap")
    assert found["runs"] in (1, 2)
    assert [one["runs"] for one in found["measured"]] == [1, 2]


@pytest.mark.slow
def test_what_can_not_be_measured_is_said_with_what_to_do(specs, tmp_path):
    omniglot = specs[0].cell_config.model_copy(update={"dataset": "omniglot"})
    elsewhere = dataclasses.replace(specs[0], cell_config=omniglot)
    why = r"^the memory and time of trials can't be measured: .*; give --pack \(1: no packs\)"
    with pytest.raises(SweepError, match=why):
        measured(elsewhere, "cpu", tmp_path, 2)


def test_workers_share_a_gpu_in_equal_parts_only_where_there_are_more_of_them():
    assert gpu_share(None, 2) == gpu_share(1, 2) == gpu_share(2, 2) == 1
    assert gpu_share(3, 2) == gpu_share(4, 2) == 0.5
    assert gpu_share(3, 1) == 0.3333
    for together in range(1, 40):  # as many as share it have room, and no more
        slot = slot_of(1, gpu=gpu_share(together, 1))
        assert room_on({"Resources": {"CPU": 64, "GPU": 1}}, slot) == together


def test_trials_that_do_not_fit_into_a_share_are_refused_with_how_many_do(specs, monkeypatch):
    found = {"measured": [{"peak_bytes": 3 * 2**30}], "free_bytes": 20 * 2**30}
    monkeypatch.setattr(packing, "measured", lambda *given: found)
    check_share(specs, DATA, 0.2)
    with pytest.raises(SweepError, match=r"takes 3.0 GiB .* is 2.7 GiB; give --workers for at most 5 on each GPU"):
        check_share(specs, DATA, 1 / 6)


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5"])
def test_a_size_that_is_none_is_refused(write_sweep, given):
    result = CliRunner().invoke(run, [str(write_sweep()), "--pack", given])
    assert result.exit_code == 2
    assert f"{given} is neither a whole number from 1 nor the word auto" in result.output
