"""Each draw against one made here, from the stream of random numbers that carries its seed and its name."""

import numpy as np
import pytest

from trainers.data.catalog import class_ranges
from trainers.maml.episodes import evaluation_draw, probe_draw, training_draw
from trainers.maml.rng import stream

SEED = 3
IMAGES = 20


def drawn(generator, rows, episodes, config, kinds=1):
    """Return classes, images and turns of `episodes`, as the docstring of `Draw` describes them."""
    kind = generator.random((episodes, kinds * len(rows))).argsort(axis=1, kind="stable")[:, : config.ways]
    images = generator.random((episodes, config.ways, IMAGES)).argsort(axis=2, kind="stable")
    return np.array(rows)[kind % len(rows)], images[:, :, : config.shots + config.queries], kind // len(rows)


def assert_equal(draw, expected):
    for one, other in zip(draw, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("split", ["1200/423", "1028/172/423"])
def test_training_and_evaluation_draw_from_the_split_of_the_config(tiny, split):
    config = tiny(seed=SEED, dataset="omniglot", omniglot_split=split)
    ranges = class_ranges("omniglot", split)
    expected = drawn(stream(SEED, "episodes", "train", 5), ranges["train"], config.meta_batch_size, config)
    assert_equal(training_draw(config, 5), expected)
    for n in (0, 4):
        assert_equal(
            evaluation_draw(config, n, n + 1), drawn(stream(SEED, "episodes", "test", n), ranges["test"], 1, config)
        )


@pytest.mark.parametrize("rotations", [False, True])
def test_probes_and_training_turn_classes_where_the_config_does(tiny, rotations):
    config = tiny(seed=SEED, rotations=rotations, probe_episodes=7)
    rows, kinds = class_ranges("strokes", config.omniglot_split)["train"], 4 if rotations else 1
    assert_equal(probe_draw(config), drawn(stream(SEED, "episodes", "probe"), rows, 7, config, kinds))
    expected = drawn(stream(SEED, "episodes", "train", 1), rows, config.meta_batch_size, config, kinds)
    assert_equal(training_draw(config, 1), expected)


def test_a_visit_to_the_pool_has_order_episode_and_labels_from_streams_of_the_seed(tiny):
    config = tiny(seed=SEED, episode_pool=5, meta_batch_size=1)
    rows = class_ranges("strokes", config.omniglot_split)["train"]
    for visit in (0, 3, 7, 12):
        epoch, position = divmod(visit, 5)
        entry = stream(SEED, "pool order", epoch).random(5).argsort(kind="stable")[position]
        labels = stream(SEED, "labels", visit).random(config.ways).argsort(kind="stable")
        parts = drawn(stream(SEED, "pool", int(entry)), rows, 1, config)
        assert_equal(training_draw(config, visit), [part[:, labels] for part in parts])
