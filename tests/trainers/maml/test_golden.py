"""Golden numbers: three outer steps and an evaluation in float64 on the synthetic characters, for each recipe entry.

A failure here means that numbers a user may have on disk have moved. If that was meant, raise the entry in
`trainers.maml.recipe.RECIPES` and put the new values here; never the one without the other.
"""

import pytest

from trainers.data.catalog import CATALOG, class_ranges
from trainers.maml import protocols
from trainers.maml.config import resolve
from trainers.maml.engines.table import cannot_treat
from trainers.maml.recipe import RECIPES, recipe_of
from trainers.maml.train import train

GOLDEN: dict[str, tuple[dict[str, object], tuple[float, ...], tuple[float, ...]]] = {
    "core": (
        {},
        (1.5888620426229814, 1.6225631239897926, 1.5849106774975006),
        (0.28, 0.33, 0.345, 0.2, 0.36, 0.365),
    ),
    "core, pooled network": (
        {"network": "conv4_pooled"},
        (1.5325032148014657, 1.5594008331720088, 1.5520090841109757),
        (0.2, 0.36, 0.355, 0.2, 0.355, 0.36),
    ),
    "second_order": (
        {"order": "second"},
        (1.5888620426229814, 1.612628539839445, 1.5692673739818526),
        (0.225, 0.315, 0.32, 0.2, 0.335, 0.34),
    ),
    "anil": (
        {"algorithm": "anil"},
        (1.5886299335272465, 1.6176668136959862, 1.5862269098108466),
        (0.275, 0.33, 0.34, 0.2, 0.315, 0.31),
    ),
    "contrastive": (
        {"algorithm": "contrastive"},
        (1.5886299335272467, 1.617666813695986, 1.5862269098108466),
        (0.275, 0.33, 0.34, 0.19999999999999998, 0.315, 0.31),
    ),
    "contrastive, second order": (
        {"algorithm": "contrastive", "order": "second", "inner_steps": 1},
        (1.5978103690672516, 1.6146176719571967, 1.5870753808492126),
        (0.22499999999999998, 0.31999999999999995, 0.19999999999999998, 0.31),
    ),
    "contrastive, as released": (
        {"algorithm": "contrastive", "interference": False, "coefficient": "reduced", "head_update": "released"},
        (1.5886299335272467, 1.6140202061149318, 1.585160995306801),
        (0.19999999999999998, 0.355, 0.355, 0.19999999999999998, 0.355, 0.355),
    ),
    "boil": (
        {"algorithm": "boil", "order": "second", "zero_head_every": 0},
        (2.1221626472534267, 2.4823883757201584, 2.5742256527392113),
        (0.19, 0.19, 0.24, 0.2, 0.2, 0.2),
    ),
    "reptile": (
        {"algorithm": "reptile", "reptile_shots": 3},
        (1.5428362488610552, 1.5698053888567034, 1.557821048724989),
        (0.25, 0.37, 0.36, 0.2, 0.345, 0.35),
    ),
    "imaml": (
        {"algorithm": "imaml", "order": "second", "proximal": 2.0, "cg_steps": 3},
        (1.5905941580827283, 1.6229953113818238, 1.5957280842207138),
        (0.25, 0.325, 0.315, 0.2, 0.33, 0.315),
    ),
    "inner_rates": (
        {"inner_rates": "per_parameter", "order": "second"},
        (1.5888620426229814, 1.611249378668837, 1.5675102403786267),
        (0.2, 0.33, 0.355, 0.2, 0.335, 0.325),
    ),
    "inner_rates, per layer and step": (
        {"inner_rates": "per_layer_per_step", "eval_steps": 3},
        (1.5888620426229814, 1.623763336552072, 1.5822891634388534),
        (0.275, 0.34, 0.325, 0.33, 0.2, 0.34, 0.32, 0.33),
    ),
    "query_losses": (
        {"query_losses": "every_step", "annealed_steps": 2, "order": "second"},
        (1.5888620426229814, 1.6130353832573525, 1.5709595519035062),
        (0.215, 0.325, 0.325, 0.2, 0.335, 0.335),
    ),
    "squared_error": (
        {"loss": "squared_error", "inner_lr": 0.01},
        (11.481501594644772, 11.971558587792797, 11.294480788924403),
        (0.26, 0.35, 0.35, 0.19999999999999998, 0.35000000000000003, 0.36000000000000004),
    ),
    "bn_relu": (
        {"net_order": "bn_relu"},
        (1.5942945310920777, 1.5971105026689443, 1.5998626583242364),
        (0.19999999999999998, 0.32, 0.31, 0.19999999999999998, 0.305, 0.31),
    ),
    "inductive": (
        {"batch_norm": "inductive"},
        (1.562531109957341, 1.6234201152222083, 1.6376432520313657),
        (0.175, 0.265, 0.27499999999999997, 0.19999999999999998, 0.32000000000000006, 0.30500000000000005),
    ),
    "label_rule": (
        {"label_rule": "groups"},
        (1.6220629217897757, 1.6203382906555586, 1.6004003378541496),
        (0.18, 0.30500000000000005, 0.31500000000000006, 0.19999999999999998, 0.28, 0.30000000000000004),
    ),
    "label_rule, consecutive": (
        {"label_rule": "consecutive"},
        (1.5900405318794637, 1.5888435478089287, 1.5693250807887313),
        (0.20999999999999996, 0.36, 0.3350000000000001, 0.19999999999999998, 0.30500000000000005, 0.31500000000000006),
    ),
    "rotations": (
        {"rotations": True},
        (1.6117375003095182, 1.594850717654574, 1.5856309845757937),
        (0.2, 0.37000000000000005, 0.35000000000000003, 0.19999999999999998, 0.3449999999999999, 0.3449999999999999),
    ),
    "probes": (
        {"probe_every": 1, "probe_episodes": 1},
        (1.5888620426229814, 1.6225631239897926, 1.5849106774975006),
        (0.28, 0.33, 0.345, 0.19999999999999998, 0.36000000000000004, 0.36500000000000005),
    ),
    "core, moments reset with the head": (
        {"zero_head_every": 1, "zero_head_adam": "reset"},
        (1.5888620426229814, 1.617882962326612, 1.5834611335230782),
        (0.265, 0.32, 0.32, 0.2, 0.33, 0.33),
    ),
    "core, zeroed after the update": (
        {"zero_head_every": 3, "zero_head_when": "after_update"},
        (1.5888620426229814, 1.6225631239897926, 1.5731246187873222),
        (0.2, 0.335, 0.34, 0.2, 0.335, 0.34),
    ),
    "core, another epsilon": (
        {"bn_eps": 0.1},
        (1.5853396196863012, 1.5766526831893426, 1.5776492275419947),
        (0.235, 0.41, 0.42, 0.2, 0.43, 0.435),
    ),
    "core, trained on the test split": (
        {"train_split": "test"},
        (1.6042062324396107, 1.6156155941664836, 1.6160340451006843),
        (0.14, 0.3, 0.32, 0.2, 0.32, 0.315),
    ),
    "anil, every layer adapted at evaluation": (
        {"algorithm": "anil", "eval_adapts": "all"},
        (1.5886299335272465, 1.6176668136959862, 1.5862269098108466),
        (0.275, 0.33, 0.345, 0.2, 0.315, 0.325),
    ),
    "contrastive, Eq. 8 as printed": (
        {"algorithm": "contrastive", "order": "second", "inner_steps": 1, "second_order_form": "printed"},
        (1.5978103690672514, 1.6146176719571967, 1.5870950083517932),
        (0.22, 0.31, 0.2, 0.305),
    ),
    "episode_pool": (
        {"episode_pool": 3},
        (1.572111399263307, 1.5960694167709286, 1.5173251723558103),
        (0.28, 0.31, 0.305, 0.2, 0.275, 0.28),
    ),
    "resnet12": (
        {"network": "resnet12", "channels": 2, "eval_episodes": 2, "inner_steps": 1},
        (1.5691253585234706, 1.5507478861851638, 1.5091863348421946),
        (0.2, 0.4, 0.2, 0.4),
    ),
    "mlp": (
        {"network": "mlp"},
        (1.6080249216218188, 1.5688900712002978, 1.5747888840116508),
        (0.16, 0.30500000000000005, 0.335, 0.19999999999999998, 0.29500000000000004, 0.30500000000000005),
    ),
    "own_network": (
        {"network": "tests.trainers.nets:Small", "channels": 64},
        (1.6091440332236968, 1.6084223394780737, 1.6086455390784715),
        (0.205, 0.27, 0.31, 0.19999999999999998, 0.365, 0.37),
    ),
}


def numbers(values, pixels, engine) -> tuple[list[float], list[float]]:
    """Return the query loss of three outer steps, and the accuracies after 0..2 inner steps, both heads."""
    records = [
        record for chunk in train([configured(values)], pixels, engine=engine) for record in chunk.runs[0].records
    ]
    losses = [record.value["query_loss"] for record in records if record.key == "training"]
    (accuracy,) = [record.value["accuracy"] for record in records if record.key == "evaluation"]
    return losses, accuracy["trained"] + accuracy["zeroed"]


def configured(values):
    return resolve(
        {
            "dataset": "strokes", "channels": 8, "order": "first", "shots": 2, "queries": 5, "inner_steps": 2,
            "inner_lr": 0.1, "zero_head_every": 2, "meta_batch_size": 2, "outer_lr": 0.01, "outer_steps": 3,
            "eval_episodes": 8, "dtype": "float64",
        } | values
    )  # fmt: skip


def engines_of(config) -> list[str]:
    """Return the quick engines that compute `config`, or else the loop."""
    return [engine for engine in ("fused", "compiled") if not cannot_treat(engine, config, "cpu")] or ["loop"]


@pytest.mark.parametrize(
    ("entry", "engine"),
    [
        pytest.param(entry, engine, marks=[pytest.mark.slow] if engine == "fused" else [])
        for entry, (values, *_) in GOLDEN.items()
        for engine in engines_of(configured(values))
    ],
)
def test_numbers_have_not_moved_under_their_recipe(entry, engine, pixels, monkeypatch):
    monkeypatch.setattr("trainers.maml.train.RECORD_EVERY", 1)
    values, losses, accuracies = GOLDEN[entry]
    found = numbers(values, pixels, engine)
    assert found[0] == pytest.approx(losses, rel=1e-8)
    assert found[1] == pytest.approx(accuracies, rel=1e-8)


def test_every_entry_of_the_recipe_has_a_guard():
    data_sets = {"omniglot", "strokes", "mini_imagenet", "added_data"}  # guarded by digests, and by the constants below
    assert {entry.partition(",")[0] for entry in GOLDEN} | data_sets == set(RECIPES)
    for entry, (values, *_) in GOLDEN.items():
        assert entry.partition(",")[0] in recipe_of(resolve({"dataset": "strokes", "order": "first"} | values))


def test_splits_and_normalisation_are_those_of_the_released_code():
    assert class_ranges("omniglot", "1200/423") == {"train": range(1200), "test": range(1200, 1623)}
    printed = {"train": range(1028), "val": range(1028, 1200), "test": range(1200, 1623)}
    assert class_ranges("omniglot", "1028/172/423") == printed
    mini = {"train": range(64), "val": range(64, 80), "test": range(80, 100)}
    assert class_ranges("mini_imagenet", "1200/423") == mini
    assert (CATALOG["omniglot"].pixel_mean, CATALOG["omniglot"].pixel_std) == ((0.0,), (1.0,))
    assert CATALOG["mini_imagenet"].pixel_mean == (0.485, 0.456, 0.406)
    assert CATALOG["mini_imagenet"].pixel_std == (0.229, 0.224, 0.225)


def test_protocols_are_the_settings_of_the_released_code():
    assert protocols.load("omniglot") == {
        "dataset": "omniglot", "network": "conv4_strided", "channels": 64, "order": "first", "inner_lr": 0.4,
        "inner_steps": 2, "meta_batch_size": 32, "outer_lr": 0.001, "outer_steps": 3000, "eval_every": 30,
        "eval_episodes": 992, "eval_steps": 3,
    }  # fmt: skip
    assert protocols.load("mini_imagenet") == {
        "dataset": "mini_imagenet", "network": "conv4_pooled", "channels": 32, "order": "first", "inner_lr": 0.01,
        "inner_steps": 5, "meta_batch_size": 4, "outer_lr": 0.001, "outer_steps": 30000, "episode_pool": 10000,
        "eval_every": 200, "eval_episodes": 400, "eval_steps": 10,
    }  # fmt: skip
