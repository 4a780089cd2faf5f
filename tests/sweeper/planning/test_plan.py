"""A plan's ids say what is computed and nothing else, and every value has the origin and the rank the docs give it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.planning.identity import identify, identity, trial_id
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.sweep import load
from tests.effort import counted
from tests.places import ROOT
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.trainer import MAML
from trainers.trainer import ConfigError

SWEEP = """\
version: 1
name: pairs
question: Does a plan say what is computed?
fixed: {order: first, queries: 5, eval_steps: null}
matrix:
  task:
    Omniglot 5w1s: {use: omniglot, shots: 1}
    strokes 3w2s: {use: strokes, ways: 3, shots: 2, order: second}
  inner_steps: [1, 3]
  zeroing:
    none: {}
    every step: {zero_head_every: 1}
seeds: 2
profiles:
  short:
    fixed: {outer_steps: 20, order: first}
    matrix: {task: [strokes 3w2s], inner_steps: [3, 4]}
    seeds: [5]
endpoint: {metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 5}
"""

# If this fails, a default moved: every old result would then be read as a result of the new default. Put it back and
# raise an entry of trainers/recipe.py instead. A new field is added here with the value that keeps old numbers.
DEFAULTS = {
    "omniglot_split": "1200/423",
    "network": "conv4_strided",
    "channels": 64,
    "head_bias": True,
    "net_order": "relu_bn",
    "bn_eps": 1e-5,
    "batch_norm": "transductive",
    "algorithm": "maml",
    "loss": "cross_entropy",
    "order": "second",
    "ways": 5,
    "shots": 1,
    "queries": 15,
    "inner_steps": 5,
    "inner_lr": 0.01,
    "inner_rates": "fixed",
    "query_losses": "last_step",
    "annealed_steps": 0,
    "proximal": 1.0,
    "cg_steps": 5,
    "reptile_shots": None,
    "head_scale": 1.0,
    "zero_head_every": 0,
    "zero_head_when": "before_inner_loop",
    "zero_head_adam": "kept",
    "interference": True,
    "coefficient": "full",
    "second_order_form": "exact",
    "head_update": "paper",
    "meta_batch_size": 4,
    "outer_lr": 0.001,
    "outer_steps": 1000,
    "episode_pool": 0,
    "train_split": "train",
    "label_rule": "random",
    "rotations": False,
    "eval_split": "test",
    "eval_every": 0,
    "eval_episodes": 400,
    "eval_steps": None,
    "eval_adapts": None,
    "eval_heads": "both",
    "eval_each_step": True,
    "final_episodes": 0,
    "final_steps": None,
    "probe_every": 0,
    "train_classes": "",
    "probe_first": 0,
    "probe_episodes": 8,
    "probe_orders": "both",
    "dtype": "float32",
    "arithmetic": "full",
    "seed": 0,
}

# If one of these fails, results on disk lose their trials. Never paste new ids: raise a recipe, never change a default.
GOLDEN = [
    ({"dataset": "omniglot", "queries": 5}, "981ae336749ff225", "ca78a68258c554d3"),
    ({"dataset": "strokes", "queries": 5}, "63411b1715b4399f", "70ed86ae9f06771d"),
    ({"dataset": "mini_imagenet", "network": "conv4_pooled"}, "ab87d28055aa392f", "031a3263f3439f46"),
    ({"dataset": "omniglot", "order": "first", "inner_lr": 0.4, "inner_steps": 1, "zero_head_every": 1,
     "eval_every": 30},
     "b516f230908674a2", "a4f567ed4373481f"),
    ({"dataset": "omniglot", "algorithm": "anil", "head_bias": False, "head_scale": 0.0},
     "7a3da62ec379b07e", "caccce38885216ca"),
    ({"dataset": "omniglot", "omniglot_split": "1028/172/423", "eval_split": "val", "ways": 20},
     "1e0ab2689e34e6cd", "f91d55124e2246a8"),
    ({"dataset": "mini_imagenet", "channels": 32, "shots": 5, "meta_batch_size": 2,
     "episode_pool": 5000, "outer_steps": 17500},
     "cc266b90baa13402", "71ced0ba9ef72377"),
    ({"dataset": "mini_imagenet", "inner_steps": 10, "eval_steps": 3, "outer_lr": 0.0001},
     "f45d0cbc7fcea459", "e3abea813c28b4f6"),
    ({"dataset": "strokes", "inner_steps": 0, "eval_steps": 0, "eval_episodes": 60, "dtype": "float64"},
     "12c65cc20b77420a", "5c754a9c11fcabf1"),
    ({"dataset": "strokes", "inner_lr": 1e-05, "head_scale": 0.3333333333333333, "zero_head_every": 100},
     "26b38757d412a380", "7df5d616f0d7011c"),
]  # fmt: skip
GOLDEN_TRIAL_ID = "f1dc8269ec5f56f5"


def plan(tmp_path: Path, text: str = SWEEP, profile: str | None = None) -> tuple[TrialSpec, ...]:
    path = tmp_path / "pairs.yaml"
    path.write_text(text, encoding="utf-8")
    return expand(load(path), profile)


def ids(specs: tuple[TrialSpec, ...]) -> set[str]:
    return {spec.trial_id for spec in specs}


def test_no_default_has_moved() -> None:
    defaults = {name: field.default for name, field in TrialConfig.model_fields.items() if not field.is_required()}
    assert defaults == DEFAULTS


@pytest.mark.parametrize(("values", "seed_0", "seed_7"), GOLDEN)
def test_no_identity_has_moved(values: dict[str, object], seed_0: str, seed_7: str) -> None:
    fields = identity(MAML, resolve(values))
    assert identify({**fields, "seed": 0}) == seed_0
    assert identify({**fields, "seed": 7}) == seed_7


def test_a_point_is_the_hash_of_the_canonical_json_of_what_differs_from_the_defaults(tmp_path: Path) -> None:
    spec = plan(tmp_path)[3]
    text = (
        '{"dataset":"omniglot","eval_episodes":992,"eval_every":30,"inner_lr":0.4,"inner_steps":1,'
        '"meta_batch_size":32,"order":"first","queries":5,"seed":1,"zero_head_every":1}'
    )
    assert spec.point == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert spec.cell == hashlib.sha256(text.replace('"seed":1,', "").encode()).hexdigest()[:16]
    data = f'{{"digest":"{spec.digest}","point":"{spec.point}","recipe":{{"core":{spec.recipe["core"]},'
    data += f'"omniglot":{spec.recipe["omniglot"]}}}}}'
    assert spec.trial_id == hashlib.sha256(data.encode()).hexdigest()[:16]


def test_a_trial_id_is_the_hash_of_point_digest_and_recipe() -> None:
    given = {"point": "0123456789abcdef", "digest": "d" * 64, "recipe": {"core": 1, "anil": 2}}
    assert trial_id(**given) == GOLDEN_TRIAL_ID
    assert trial_id(**given | {"recipe": {"anil": 2, "core": 1}}) == GOLDEN_TRIAL_ID
    assert trial_id(**given | {"recipe": {"anil": 3, "core": 1}}) != GOLDEN_TRIAL_ID
    assert trial_id(**given | {"digest": "e" * 64}) != GOLDEN_TRIAL_ID


@pytest.mark.slow
def test_ids_are_the_same_in_every_process(tmp_path: Path) -> None:
    expected = [spec.trial_id for spec in plan(tmp_path)]
    code = (
        "import sys, pathlib; from sweeper.planning.expand import expand; from sweeper.sweepfile.sweep import load\n"
        "print(*(spec.trial_id for spec in expand(load(pathlib.Path(sys.argv[1])))))"
    )
    root = str(ROOT)
    for hash_seed in ("1", "2"):
        answer = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "pairs.yaml")],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.split() == expected


def test_names_comments_key_order_and_spelling_are_no_part_of_an_id(tmp_path: Path) -> None:
    respelled = """\
# A comment.
name: renamed
seeds: [1, 0]
endpoint: {window: 1, at: last, steps: 1, head: trained, metric: test_accuracy}
question: Is it still the same?
matrix:
  zeroing:
    each: {zero_head_every: 1}
    never: {zero_head_every: 0, head_scale: 1}
  inner_steps: [3, 1]
  where:
    strokes: {shots: 2, order: second, ways: 3, use: strokes}
    Omniglot: {shots: 1, use: omniglot, dataset: omniglot, inner_lr: 4e-1, order: first}
fixed: {eval_steps: null, queries: 0x5}
version: 1
"""
    assert ids(plan(tmp_path, respelled)) == ids(plan(tmp_path))


def test_a_longer_training_is_the_same_trial(tmp_path: Path) -> None:
    longer = plan(tmp_path, SWEEP.replace("fixed: {order", "fixed: {outer_steps: 9000, order"))
    assert ids(longer) == ids(plan(tmp_path))
    assert {spec.target for spec in longer} == {9000}


def test_any_other_value_is_another_trial() -> None:
    base = resolve({"dataset": "omniglot", "queries": 5, "omniglot_split": "1028/172/423", "ways": 4})
    other = {
        "dataset": "mini_imagenet", "omniglot_split": "1200/423", "network": "conv4_pooled", "channels": 32,
        "head_bias": False, "algorithm": "anil", "order": "first", "ways": 5, "shots": 2, "queries": 6,
        "inner_steps": 6, "inner_lr": 0.011, "head_scale": 0.0, "zero_head_every": 1, "meta_batch_size": 5,
        "outer_lr": 0.002, "episode_pool": 10, "eval_split": "val", "eval_every": 1, "eval_episodes": 401,
        "eval_steps": 4, "eval_adapts": "head", "dtype": "float64", "net_order": "bn_relu", "bn_eps": 0.1,
        "batch_norm": "inductive", "loss": "squared_error", "zero_head_when": "after_update",
        "zero_head_adam": "reset", "interference": False, "coefficient": "reduced", "second_order_form": "printed",
        "head_update": "released", "train_split": "test", "label_rule": "groups", "rotations": True, "probe_every": 1,
        "probe_first": 1, "probe_episodes": 9, "probe_orders": "own",
        "eval_heads": "zeroed", "eval_each_step": False, "final_episodes": 9, "final_steps": 3,
        "arithmetic": "tf32",
        "train_classes": "1 2 3 4 5",
        "inner_rates": "per_parameter", "query_losses": "every_step", "annealed_steps": 9, "proximal": 2.0,
        "cg_steps": 4, "reptile_shots": 2,
    }  # fmt: skip
    assert {*other, "outer_steps", "seed"} == set(TrialConfig.model_fields)
    points = [identify(identity(MAML, base.model_copy(update={name: value}))) for name, value in other.items()]
    assert len({identify(identity(MAML, base)), *points}) == len(points) + 1


def test_scoring_as_many_steps_as_trained_is_one_trial_however_it_is_said() -> None:
    values = {"dataset": "omniglot", "queries": 5, "inner_steps": 3}
    assert identity(MAML, resolve(values)) == identity(MAML, resolve({**values, "eval_steps": 3}))
    assert identity(MAML, resolve({**values, "eval_steps": 4}))["eval_steps"] == 4


def test_a_whole_number_given_for_a_rate_is_the_same_trial(tmp_path: Path) -> None:
    one, point = (plan(tmp_path, SWEEP.replace("order: first,", f"head_scale: {value},", 1)) for value in ("2", "2.0"))
    assert ids(one) == ids(point)
    assert repr(one[0].config.head_scale) == "2.0"


def test_growing_a_grid_adds_trials_and_keeps_the_old_ones(tmp_path: Path) -> None:
    old = ids(plan(tmp_path))
    grown_seeds = ids(plan(tmp_path, SWEEP.replace("seeds: 2\n", "seeds: 3\n")))
    grown_values = ids(plan(tmp_path, SWEEP.replace("[1, 3]", "[1, 2, 3]")))
    grown_axes = ids(plan(tmp_path, SWEEP.replace("  zeroing:", "  channels: [64, 32]\n  zeroing:")))
    assert len(old) == 16
    assert old < grown_seeds and len(grown_seeds) == 24
    assert old < grown_values and len(grown_values) == 24
    assert old < grown_axes and len(grown_axes) == 32


def test_the_data_and_the_recipe_are_part_of_a_trial_and_not_of_a_point(tmp_path: Path) -> None:
    before = plan(tmp_path)
    after = expand(load(tmp_path / "pairs.yaml"), digests={"omniglot": "f" * 64})
    assert [spec.point for spec in after] == [spec.point for spec in before]
    moved = {spec.config.dataset for spec, old in zip(after, before, strict=True) if spec.trial_id != old.trial_id}
    assert moved == {"omniglot"}
    assert {tuple(spec.recipe) for spec in before} == {("core", "omniglot"), ("core", "strokes", "second_order")}


def test_a_cell_holds_the_replicates_of_one_condition(tmp_path: Path) -> None:
    specs = plan(tmp_path)
    cells: dict[str, list[TrialSpec]] = {}
    for spec in specs:
        cells.setdefault(spec.cell, []).append(spec)
    assert {tuple(spec.seed for spec in members) for members in cells.values()} == {(0, 1)}
    assert all(len({tuple(spec.labels.values()) for spec in members}) == 1 for members in cells.values())
    assert not set(cells) & {spec.point for spec in specs}


def test_points_come_in_file_order_with_complete_configs(tmp_path: Path) -> None:
    specs = plan(tmp_path)
    assert [spec.name() for spec in specs[:5]] == [
        "Omniglot 5w1s · inner_steps 1 · zeroing none · s0",
        "Omniglot 5w1s · inner_steps 1 · zeroing none · s1",
        "Omniglot 5w1s · inner_steps 1 · zeroing every step · s0",
        "Omniglot 5w1s · inner_steps 1 · zeroing every step · s1",
        "Omniglot 5w1s · inner_steps 3 · zeroing none · s0",
    ]
    assert specs[3].labels == {"task": "Omniglot 5w1s", "inner_steps": "1", "zeroing": "every step"}
    values = {"dataset": "omniglot", "order": "first", "queries": 5, "inner_steps": 1, "zero_head_every": 1, "seed": 1}
    protocol = {"inner_lr": 0.4, "meta_batch_size": 32, "outer_steps": 3000, "eval_every": 30, "eval_episodes": 992}
    assert specs[3].config.model_dump() == resolve(values | protocol).model_dump()
    planned = specs[3].planned()
    assert (planned.seed, planned.target, planned.trainer, planned.length) == (1, 3000, "maml", "outer_steps")
    assert (planned.config["inner_steps"], planned.config["eval_every"]) == (1, 30)
    assert (planned.trial_id, planned.cell, planned.labels) == (specs[3].trial_id, specs[3].cell, specs[3].labels)


def test_a_value_comes_from_the_strongest_place_that_gives_it(tmp_path: Path) -> None:
    whole = {spec.name(): spec for spec in plan(tmp_path)}
    omniglot = whole["Omniglot 5w1s · inner_steps 3 · zeroing none · s0"].origins
    strokes = whole["strokes 3w2s · inner_steps 3 · zeroing every step · s0"]
    assert set(omniglot) == set(TrialConfig.model_fields)
    assert omniglot["ways"] == "default"
    assert omniglot["meta_batch_size"] == "protocol omniglot"
    assert omniglot["eval_steps"] == "pairs.yaml:4"  # the protocol says 3
    assert omniglot["inner_steps"] == "pairs.yaml:9"  # the protocol says 2
    assert omniglot["order"] == "pairs.yaml:4"
    assert (strokes.origins["order"], strokes.config.order) == ("pairs.yaml:8", "second")
    assert strokes.origins["zero_head_every"] == "pairs.yaml:12"
    assert strokes.origins["seed"] == "pairs.yaml:13"
    short = plan(tmp_path, profile="short")[0]
    assert (short.origins["order"], short.config.order) == ("pairs.yaml:16", "first")
    assert (short.origins["seed"], short.seed, short.target) == ("pairs.yaml:18", 5, 20)


def test_a_profile_takes_named_bundles_and_any_plain_values(tmp_path: Path) -> None:
    assert [spec.name() for spec in plan(tmp_path, profile="short")] == [
        f"strokes 3w2s · inner_steps {steps} · zeroing {zeroing} · s5"
        for steps in (3, 4)
        for zeroing in ("none", "every step")
    ]


def test_an_unknown_profile_is_answered_with_the_nearest_and_with_all(tmp_path: Path) -> None:
    with pytest.raises(SweepError) as caught:
        plan(tmp_path, profile="shrt")
    assert str(caught.value).endswith(
        "pairs.yaml: unknown profile 'shrt'; did you mean 'short'? (profiles of this file: short)"
    )


def test_exclude_takes_out_what_agrees_with_every_part_of_an_entry(tmp_path: Path) -> None:
    rules = "exclude: [{task: strokes 3w2s, zero_head_every: 1}, {inner_steps: 3, meta_batch_size: 32}]"
    left = plan(tmp_path, SWEEP.replace("seeds: 2\n", f"{rules}\nseeds: 2\n"))
    assert ids(left) < ids(plan(tmp_path))
    assert {tuple(spec.labels.values()) for spec in left} == {
        ("Omniglot 5w1s", "1", "none"),
        ("Omniglot 5w1s", "1", "every step"),
        ("strokes 3w2s", "1", "none"),
        ("strokes 3w2s", "3", "none"),
    }


def test_a_grid_without_axes_is_one_cell_named_after_its_data(tmp_path: Path) -> None:
    head, tail = SWEEP.split("matrix:", 1)
    text = head.replace("order: first", "use: strokes") + tail[tail.index("seeds:") : tail.index("profiles:")]
    specs = plan(tmp_path, text + SWEEP[SWEEP.index("endpoint:") :])
    assert [spec.name() for spec in specs] == ["strokes · s0", "strokes · s1"]


def test_a_combination_that_cant_be_is_told_once_for_each_line_that_causes_it(tmp_path: Path) -> None:
    with pytest.raises(SweepError) as caught:
        plan(tmp_path, SWEEP.replace("shots: 1", "shots: 18").replace("shots: 2", "shots: 30"))
    assert [line.split("pairs.yaml:")[1].split(" images")[0] for line in str(caught.value).split("\n")] == [
        "7:43: shots: shots + queries = 18 + 5 = 23, but omniglot has 20",
        "8:50: shots: shots + queries = 30 + 5 = 35, but strokes has 20",
    ]


def test_ten_thousand_points_are_planned_in_a_hundred_calls_each(tmp_path: Path) -> None:
    """About a second of a CPU; it grows as the points do."""
    text = SWEEP.replace("[1, 3]", "{range: [1, 50, 1]}").replace("seeds: 2\n", "seeds: 50\n")
    with counted() as effort:
        assert len(plan(tmp_path, text)) == 10_000
    assert effort.calls < 100 * 10_000, effort.calls


@pytest.mark.parametrize("name", [n for n, f in TrialConfig.model_fields.items() if f.annotation is float])
def test_minus_zero_is_zero_in_every_real_field(name):
    """Or it is refused, as 0 is."""
    ids = []
    for zero in (0.0, -0.0):
        try:
            config = resolve({"dataset": "strokes", name: zero})
        except ConfigError:
            ids.append("refused")
        else:
            ids.append(identify(identity(MAML, config)))
            assert str(getattr(config, name)) == "0.0"
    assert ids[0] == ids[1]


def test_an_axis_a_claim_and_an_exclusion_mean_the_number_and_not_its_spelling(tmp_path):
    path = tmp_path / "spelt.yaml"
    path.write_text("""\
version: 1
name: spelt
question: Which?
fixed: {use: strokes, order: first, queries: 3, channels: 4, outer_steps: 4}
matrix:
  head_scale: [-0.0, 1, 2]
  inner_lr: [1e-1, 1]
exclude:
  - {head_scale: 2, inner_lr: 1}
seeds: 1
endpoint: {metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 1}
claims:
  - says: It matters.
    source: here
    kind: effect
    of: {head_scale: 0}
    minus: {head_scale: 1.0}
    where: {inner_lr: 1}
    expected: positive
""")
    specs = expand(load(path))
    assert len(specs) == 5
    assert [spec.labels["head_scale"] for spec in specs] == ["0.0", "0.0", "1.0", "1.0", "2.0"]
    path.write_text(path.read_text().replace("-0.0, 1, 2", "-0.0, 0, 2").replace("1.0}", "2}"))
    with pytest.raises(SweepError, match=r"value 0\.0 is given twice"):
        load(path)
