"""Planned trials, frozen into a submission and thawed in a slot."""

import json

import pytest

from sweeper.executors.slurm.thaw import OtherTrialError, frozen, rotated, thawed


@pytest.fixture
def content(specs):
    ids = [spec.trial_id for spec in specs]
    trials, references = frozen(specs, dict.fromkeys(ids, "tiny"), dict.fromkeys(ids, "loop"), {ids[0]: 3})
    return json.loads(json.dumps({"trials": trials, "references": references}))


def test_they_come_back_as_they_were_planned(specs, content):
    found = thawed(content)
    for before, after in zip(specs, found, strict=True):
        kept = ("trial_id", "point", "cell", "seed", "recipe", "digest", "config", "target", "reference", "trainer")
        assert {name: getattr(after, name) for name in kept} == {name: getattr(before, name) for name in kept}
        assert after.name() == before.name()
        assert after.shared_by_pack() == before.shared_by_pack()
    assert [trial["attempt"] for trial in content["trials"]] == [3, 0, 0, 0]
    assert len({id(spec.cell_config) for spec in found}) == len({spec.cell for spec in specs})


def test_code_that_would_give_a_trial_another_id_refuses_it(content):
    content["trials"][1]["config"]["inner_lr"] = 0.125
    with pytest.raises(OtherTrialError, match=f"{content['trials'][1]['trial_id']}: the code here gives"):
        thawed(content)


def test_each_slot_begins_elsewhere_and_takes_all(specs):
    orders = [rotated(specs, slot, 4) for slot in range(4)]
    assert [order[0] for order in orders] == list(specs)
    assert all(sorted(order, key=specs.index) == list(specs) for order in orders)
    assert rotated(specs, 5, 0) == list(specs)
