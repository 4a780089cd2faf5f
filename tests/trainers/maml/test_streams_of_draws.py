"""Each draw against one made here, from the stream of random numbers that carries its seed and its name."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainers.data.catalog import CATALOG, class_ranges
from trainers.maml.episodes import evaluation_draw, gather, probe_draw, training_draw
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


def test_the_validation_list_is_drawn_from_the_validation_classes_of_the_printed_split(tiny):
    config = tiny(seed=SEED, dataset="omniglot", omniglot_split="1028/172/423", eval_split="val")
    expected = drawn(stream(SEED, "episodes", "val", 2), range(1028, 1200), 1, config)
    assert_equal(evaluation_draw(config, 2, 3), expected)


def test_named_classes_stand_for_those_of_a_split(tiny):
    config = tiny(seed=SEED, train_classes="7 400 12 9")
    rows = [7, 400, 12, 9]
    assert_equal(training_draw(config, 5), drawn(stream(SEED, "episodes", "train", 5), rows, 2, config))
    assert_equal(probe_draw(config), drawn(stream(SEED, "episodes", "probe"), rows, 8, config))


def test_a_group_gives_its_label_to_one_of_its_classes_and_larger_groups_come_first(tiny):
    """The 350 classes of 4 groups are 88, 88, 87 and 87."""
    config = tiny(seed=SEED, ways=4, label_rule="groups")
    where = stream(SEED, "episodes", "train", 5).random((2, 4))
    expected = np.array([0, 88, 176, 263]) + np.floor(where * [88, 88, 87, 87]).astype(int)
    assert_equal([training_draw(config, 5).classes], [expected])


def test_consecutive_classes_begin_at_a_multiple_of_the_ways(tiny):
    """Of 350 classes the last two are in no run of 4."""
    config = tiny(seed=SEED, ways=4, label_rule="consecutive")
    where = stream(SEED, "episodes", "train", 5).random((2, 1))
    assert_equal([training_draw(config, 5).classes], [4 * np.floor(where * 87).astype(int) + np.arange(4)])


def test_a_class_with_images_of_its_own_number_is_drawn_from_them_and_found_in_the_flat_array(tiny, monkeypatch):
    config = tiny(seed=SEED, meta_batch_size=20)
    counts = np.array([5 + row % 4 for row in range(500)])
    ragged = replace(CATALOG["strokes"], images=tuple(map(int, counts)), images_per_class=5)
    monkeypatch.setattr("trainers.maml.episodes.facts_of", lambda name: ragged)
    generator = stream(SEED, "episodes", "train", 5)
    classes = generator.random((20, 350)).argsort(axis=1)[:, :3]
    numbers = generator.random((20, 3, 8))
    images = [
        [row[: counts[one]].argsort()[:5] for one, row in zip(*each, strict=True)]
        for each in zip(classes, numbers, strict=True)
    ]
    draw = training_draw(config, 5)
    assert_equal(draw[:2], (classes, images))
    places = np.array([counts[:row].sum() for row in range(500)])[classes][..., None] + images
    shown = gather(draw, torch.arange(counts.sum()).view(-1, 1, 1, 1), config).support_images.flatten(1) * 255
    np.testing.assert_allclose(shown, places[:, :, :2].reshape(20, -1))
