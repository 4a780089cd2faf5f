"""A sweep whose axis chooses among trainers: its trials, what it leaves out, and what it reads of each."""

import pytest

from sweeper.errors import SweepFileError
from sweeper.planning.expand import expand
from sweeper.reporting.endpoint_metric import endpoint_keys
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import command
from tests.sweeper.several import write_several

FIXED = "{use: strokes, ways: 3, queries: 3, channels: 4, outer_steps: 4, eval_every: 2, eval_episodes: 3"
ALONE = {
    "MAML": {
        "fixed": FIXED + ", meta_batch_size: 2, inner_steps: 1}",
        "endpoint": "{metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}",
    },
    "ProtoNet": {
        "trainer": "protonet",
        "fixed": FIXED + ", lr: 0.01}",
        "endpoint": "{metric: accuracy, split: test, at: last, window: 1}",
    },
    "mine": {
        "trainer": "toy.py:TOY",
        "fixed": "{steps: 4, rate: 0.25}",
        "endpoint": "{metric: error, at: last, window: 1}",
    },
}


def test_each_trial_is_that_of_a_sweep_of_its_trainer_alone(tmp_path) -> None:
    several = expand(load(write_several(tmp_path)))
    assert len(several) == 6
    for label, keys in ALONE.items():
        alone = expand(load(write_several(tmp_path, matrix="{}", claims="[]", report="{}", **keys)))
        mine = [spec for spec in several if spec.labels["method"] == label]
        assert [spec.trial_id for spec in mine] == [spec.trial_id for spec in alone]
        assert [spec.cell_config for spec in mine] == [spec.cell_config for spec in alone]
        assert [(spec.target, spec.reference) for spec in mine] == [(spec.target, spec.reference) for spec in alone]


def test_what_a_trainer_lacks_is_left_out_and_shown(tmp_path) -> None:
    path = write_several(tmp_path)
    left_out = {spec.labels["method"]: sorted(spec.left_out) for spec in expand(load(path))}
    assert left_out["ProtoNet"] == ["meta_batch_size", "steps"] and left_out["MAML"] == ["steps"]
    assert "use" in left_out["mine"] and "channels" in left_out["mine"] and "steps" not in left_out["mine"]
    said = command("plan", path, "--results", tmp_path / "results").output
    assert "trainer protonet has no meta_batch_size, steps; left out of its trials (--show ID has the lines)" in said
    (spec, _) = (spec for spec in expand(load(path)) if spec.labels["method"] == "ProtoNet")
    said = command("plan", path, "--results", tmp_path / "results", "--show", spec.trial_id).output
    assert (
        "left out, because trainer protonet has no such field:\n  meta_batch_size  2              methods.yaml:9"
        in said
    )


def test_a_pack_never_mixes_trainers(tmp_path) -> None:
    specs = expand(load(write_several(tmp_path)))
    assert len({spec.shared_by_pack() for spec in specs}) == 2 + 2 + 1  # MAML alone packs its seeds


def test_the_endpoint_is_read_of_each_trainer_as_it_measures_it(tmp_path) -> None:
    sweep = load(write_several(tmp_path))
    assert endpoint_keys(sweep, expand(sweep)) == [
        "endpoint/test_accuracy/zeroed/inner_steps/last_4/window_1",
        "endpoint/accuracy/test/last_4/window_1",
        "endpoint/error/last_4/window_1",
    ]
    (claim,) = sweep.claims
    assert (claim.of.endpoint.metric, claim.minus.endpoint.name) == ("test_accuracy", "accuracy/test")


def test_a_table_reads_other_numbers_of_the_trainers_that_have_them(tmp_path) -> None:
    other = "trainers: {protonet: {metric: training_accuracy}}"
    report = f"{{tables: [{{rows: [], columns: method, head: trained}}, {{rows: [], columns: method, {other}}}]}}"
    first, second = load(write_several(tmp_path, report=report)).tables
    assert dict(first.endpoint.of_trainer("maml").coordinates)["head"] == "trained"
    assert first.endpoint.of_trainer("protonet").name == "accuracy/test"
    assert second.endpoint.of_trainer("protonet").name == "training_accuracy"
    assert dict(second.endpoint.of_trainer("maml").coordinates)["head"] == "zeroed"


def test_trainers_with_one_metric_need_no_entries(tmp_path) -> None:
    (tmp_path / "other.py").write_text(
        (write_several(tmp_path).parent / "toy.py").read_text().replace('"toy"', '"other"')
    )
    matrix = "{method: {one: {trainer: toy.py:TOY}, two: {trainer: other.py:TOY}}}"
    endpoint = "{metric: loss, at: last, window: 1}"
    sweep = load(write_several(tmp_path, matrix=matrix, endpoint=endpoint, claims="[]", fixed="{steps: 4}"))
    assert sweep.endpoint.by_trainer == () and len(expand(sweep)) == 4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fixed": "{use: strokes, chanels: 4}"}, "fixed.chanels: unknown field; did you mean 'channels'?"),
        ({"fixed": "{trainer: protonet}"}, "fixed.trainer: a trainer is chosen at the top of the file, or in"),
        ({"fixed": "{use: strokes, queries: 0}"}, "fixed.queries: must be at least 1, got 0 (trainer maml)"),
        (
            {"matrix": "{method: {MAML: {}, ProtoNet: {trainer: protonet, inner_lr: 0.1}}}"},
            "matrix.method.ProtoNet.inner_lr: unknown field; ",
        ),
        (
            {"matrix": "{method: {MAML: {}, ProtoNet: {trainer: protonte}}}"},
            "matrix.method.ProtoNet.trainer: there is no trainer 'protonte'; installed are maml, protonet",
        ),
        (
            {"matrix": "{a: {x: {trainer: protonet}}, b: {y: {trainer: maml}}}"},
            "matrix.b: axis a chooses trainers as well; only one axis can",
        ),
        (
            {"trainer": "maml", "matrix": "{a: {x: {trainer: protonet}}}"},
            "trainer: no trial is of it, since every value of axis a names its trainer; remove it here",
        ),
        (
            {"matrix": "{a: {x: {}, y: {trainer: protonet}}}"},
            "endpoint.trainers.toy: no trainer of this sweep; choose from maml, protonet",
        ),
        (
            {"endpoint": "{metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 1}"},
            "endpoint.metric: trainer protonet has no test_accuracy, but accuracy, episode_sd, loss, "
            "training_accuracy; give what to read of it in endpoint.trainers",
        ),
        (
            {
                "endpoint": "{metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1, "
                "trainers: {protonet: {metric: loss}, toy: {metric: loss}}}"
            },
            "endpoint.trainers: test_accuracy of maml is in %, but loss of protonet has no unit; read numbers of one",
        ),
        (
            {
                "endpoint": "{metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1, "
                "trainers: {protonet: {metric: accuracy, split: test, window: 5}, toy: {metric: error}}}"
            },
            "endpoint.trainers.protonet.window: is the same for all trainers; give it above",
        ),
        ({"report": "{figures: [{kind: cosine, hue: method}]}"}, "shows probes, which trainer protonet does not take"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, changes, says) -> None:
    with pytest.raises(SweepFileError) as caught:
        expand(load(write_several(tmp_path, **changes)))
    assert says in str(caught.value)


def test_an_axis_that_a_trainer_lacks_is_refused_with_the_condition_that_it_needs(tmp_path) -> None:
    report = "{tables: [{rows: [inner_lr], columns: method}]}"
    matrix = "{method: {MAML: {}, ProtoNet: {trainer: protonet}}, inner_lr: [0.1, 0.4]}"
    endpoint = (
        "{metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1, "
        "trainers: {protonet: {metric: accuracy, split: test}}}"
    )
    keys = {"matrix": matrix, "report": report, "endpoint": endpoint, "claims": "[]", "fixed": FIXED + "}"}
    with pytest.raises(SweepFileError) as caught:
        expand(load(write_several(tmp_path, **keys)))
    remedy = "trainer protonet has no inner_lr; let the axis apply to the others alone, with when: "
    assert remedy + "{inner_lr: {method: [MAML]}}" in str(caught.value)
    specs = expand(load(write_several(tmp_path, **keys, when="{inner_lr: {method: [MAML]}}")))
    assert [tuple(spec.labels.values()) for spec in specs[::2]] == [("MAML", "0.1"), ("MAML", "0.4"), ("ProtoNet", "-")]
    assert specs[-1].cell_name == "strokes · method ProtoNet"
