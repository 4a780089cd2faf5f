"""`--set FIELD=VALUE`: other values for a try, under a name of its own."""

import json

import pytest

import sweeper
from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.reporting.raw_folder import own_sweep, question, question_files
from sweeper.results.survey import experiment_name
from sweeper.sweepfile.sweep import load
from sweeper.sweepfile.tries import tried, words_of
from tests.sweeper.played import command


def test_a_try_has_other_trials_under_a_name_of_its_own(write_sweep) -> None:
    sweep = load(write_sweep())
    other = tried(sweep, ["channels=5", "inner_lr=1e-1"])
    assert experiment_name(other, "smoke") == "tiny+channels=5+inner_lr=0.1@smoke"
    specs = expand(other)
    assert {(spec.field("channels"), spec.field("inner_lr")) for spec in specs} == {(5, 0.1)}
    assert specs[0].name() == "strokes · inner_steps 1 · channels 5 · inner_lr 0.1 · s0"
    assert specs[0].origins["channels"] == "--set channels=5"
    assert not {spec.trial_id for spec in specs} & {spec.trial_id for spec in expand(sweep)}
    assert words_of(other) == ["--set", "channels=5", "--set", "inner_lr=1e-1"]
    assert tried(sweep, []) is sweep


def test_it_overrides_a_profile_too(write_sweep) -> None:
    path = write_sweep()
    path.write_text(path.read_text() + "profiles: {p: {fixed: {channels: 6}}}\n")
    assert {spec.field("channels") for spec in expand(tried(load(path), ["channels=5"]), "p")} == {5}


def test_a_trial_is_the_one_of_a_file_that_says_so(write_sweep) -> None:
    tries = [spec.trial_id for spec in expand(tried(load(write_sweep()), ["channels=5"]))]
    assert tries == [spec.trial_id for spec in expand(load(write_sweep("  channels: 5")))]


def test_what_can_not_stand_in_the_name_of_a_folder_gives_way_to_a_hash(write_sweep) -> None:
    sweep = load(write_sweep())
    name = tried(sweep, ["omniglot_split=1028/172/423"]).name
    assert name.startswith("tiny+omniglot_split=1028_172_423-") and "/" not in name
    many = [f"{field}=9" for field in ("channels", "ways", "shots", "queries", "meta_batch_size", "eval_episodes")]
    many += [f"{field}=99" for field in ("eval_every", "outer_steps", "final_episodes", "probe_every", "eval_steps")]
    assert len(tried(sweep, many).name) <= 150


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("channels", "--set channels: must be FIELD=VALUE, such as inner_lr=0.1"),
        ("chanels=4", "--set chanels=4: unknown field; did you mean 'channels'?"),
        ("channels=0", "--set channels=0: channels must be at least 1, got 0"),
        ("channels=four", "--set channels=four: channels must be a whole number, got 'four'"),
        ("channels=[1, 2]", "--set channels=[1, 2]: takes one value, got a list of 2"),
        ("inner_steps=3", "--set inner_steps=3: inner_steps is an axis of tiny; choose its values with --only"),
        ("seed=3", "--set seed=3: seeds are chosen with --only seed=N, or in seeds: of the file"),
        ("use=omniglott", "--set use=omniglott: unknown protocol 'omniglott'; did you mean 'omniglot'?"),
        ("channels={", "--set channels={: "),
    ],
)
def test_what_is_wrong_is_named(write_sweep, given, says) -> None:
    with pytest.raises(SweepError) as caught:
        tried(load(write_sweep()), [given])
    assert str(caught.value).startswith(says)


def test_a_field_twice_and_one_that_an_axis_sets(write_sweep) -> None:
    with pytest.raises(SweepError, match="channels is set twice; give it once"):
        tried(load(write_sweep()), ["channels=4", "channels=5"])
    path = write_sweep()
    path.write_text(
        path.read_text()
        .replace("inner_steps: [1, 2]", "zeroing: {no: {}, yes: {zero_head_every: 1}}")
        .replace("inner_steps}]", "zeroing}]")
        .replace("x: inner_steps", "x: zeroing")
    )
    with pytest.raises(SweepError, match="axis zeroing of tiny sets zero_head_every; choose its values with --only"):
        tried(load(path), ["zero_head_every=2"])


def test_the_commands_take_it(write_sweep, tmp_path) -> None:
    path = write_sweep()
    said = command("plan", path, "--set", "channels=5", "--results", tmp_path / "results")
    assert said.exit_code == 0 and said.output.startswith("tiny+channels=5: ")
    assert command("status", path, "--set", "channels=5", "--results", tmp_path / "results").exit_code == 0
    none = command("export", path, "--set", "channels=5", "--results", tmp_path / "results")
    assert "tiny+channels=5: none of its 4 trials has begun" in none.stderr
    refused = command("run", path, "--set", "chanels=5", "--results", tmp_path / "results")
    assert refused.exit_code == 2 and not (tmp_path / "results").exists()


def test_a_notebook_takes_it(write_sweep, tmp_path) -> None:
    path, other = write_sweep(), tmp_path / "results"
    frame = sweeper.plan(path, other, settings="channels=5", config=True)
    assert set(frame["channels"]) == {5} and set(sweeper.plan(path, other, config=True)["channels"]) == {4}
    with pytest.raises(SweepError, match="settings= channels=0: channels must be at least 1, got 0"):
        sweeper.plan(path, other, settings=["channels=0"])


def test_raw_data_know_what_was_set(write_sweep, tmp_path) -> None:
    path = write_sweep()
    (tmp_path / "raw").mkdir()
    for name, content in question_files(tried(load(path), ["channels=5"]), None, []).items():
        (tmp_path / "raw" / name).write_bytes(content)
    assert own_sweep(tmp_path / "raw").name == "tiny+channels=5" and question(tmp_path / "raw") == (None, [])
    assert json.loads(question_files(load(path), None, [])["question.json"]) == {"profile": None, "only": []}
