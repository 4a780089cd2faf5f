"""Labels: drawn for each episode, a function of the class, or of a turned class; and the episodes of probes."""

import numpy as np
import pytest
import torch

from trainers.maml.config import resolve
from trainers.maml.episodes import evaluation_draw, gather, probe_draw, training_draw

MINI = {"dataset": "mini_imagenet", "network": "conv4_pooled", "ways": 5}
GROUPS_OF_64 = [range(13), range(13, 26), range(26, 39), range(39, 52), range(52, 64)]


def same(a, b) -> bool:
    return all(map(np.array_equal, a, b))


def cut(draw, first, last):
    """Return episodes first..last-1 of a draw."""
    return type(draw)(*(part[first:last] for part in draw))


@pytest.mark.parametrize("pool", [0, 300])
def test_label_t_of_mini_imagenet_is_one_class_of_the_t_th_group_of_13_13_13_13_and_12(tiny, pool):
    """Nor does revisiting a pool, where random labels are permuted at every visit, move a class to another label."""
    config = tiny(**MINI, label_rule="groups", episode_pool=pool, meta_batch_size=300)
    for step in (0, 1, 2):
        classes = training_draw(config, step).classes
        assert classes.shape == (300, 5)
        for label, group in enumerate(GROUPS_OF_64):
            assert set(classes[:, label]) == set(group)


@pytest.mark.slow
def test_each_class_of_a_group_is_drawn_equally_often(tiny):
    classes = training_draw(tiny(**MINI, label_rule="groups", meta_batch_size=3000), 0).classes
    for label, group in enumerate(GROUPS_OF_64):
        counts = np.bincount(classes[:, label] - group.start, minlength=len(group))
        expected = 3000 / len(group)
        assert abs(counts - expected).max() < 6 * expected**0.5


@pytest.mark.parametrize(("split", "first", "sizes"), [("test", 80, (4, 4, 4, 4, 4)), ("val", 64, (4, 3, 3, 3, 3))])
def test_evaluation_groups_the_classes_of_its_own_split(tiny, split, first, sizes):
    config = tiny(**MINI, label_rule="groups", eval_split=split)
    classes = evaluation_draw(config, 0, 200).classes
    for label, size in enumerate(sizes):
        assert set(classes[:, label]) == set(range(first, first + size))
        first += size


@pytest.mark.slow
@pytest.mark.parametrize("pool", [0, 4000])
def test_omniglot_has_240_training_and_84_test_tasks_of_five_consecutive_classes(tiny, pool):
    config = tiny(dataset="omniglot", ways=5, label_rule="consecutive", episode_pool=pool, meta_batch_size=4000)
    training = training_draw(config, 0).classes
    assert {tuple(row) for row in training.tolist()} == {tuple(range(5 * c, 5 * c + 5)) for c in range(240)}
    test = evaluation_draw(config, 0, 1200).classes
    expected = {tuple(range(1200 + 5 * c, 1205 + 5 * c)) for c in range(84)}  # the last three of 423 make no task
    assert {tuple(row) for row in test.tolist()} == expected


@pytest.mark.parametrize("rule", ["groups", "consecutive"])
def test_a_pool_under_a_fixed_rule_is_visited_whole_with_labels_and_images_as_they_are(tiny, rule):
    config = tiny(label_rule=rule, episode_pool=4, meta_batch_size=4)
    first, second = training_draw(config, 0), training_draw(config, 1)
    rows = [{(*classes, *images.flat) for classes, images in zip(d.classes, d.images, strict=True)}
            for d in (first, second)]  # fmt: skip
    assert len(rows[0]) == 4
    assert rows[0] == rows[1]


def test_random_labels_give_a_class_every_label(tiny):
    classes = training_draw(tiny(**MINI, meta_batch_size=1000), 0).classes
    assert all(set(classes[:, label]) == set(range(64)) for label in range(5))


def test_training_on_the_test_split_draws_its_classes_and_no_other(tiny):
    config = tiny(**MINI, train_split="test", meta_batch_size=200)
    assert set(training_draw(config, 0).classes.flat) == set(range(80, 100))
    assert set(probe_draw(config).classes.flat) <= set(range(80, 100))
    pooled = tiny(**MINI, train_split="test", episode_pool=100, meta_batch_size=100)
    assert set(training_draw(pooled, 0).classes.flat) == set(range(80, 100))


@pytest.mark.parametrize("pool", [0, 500])
def test_the_turns_of_a_class_are_classes_of_their_own(tiny, pool):
    """With 100 ways of 350 classes in four turns, some class is in every episode twice, turned apart."""
    config = tiny(rotations=True, ways=100, shots=1, queries=1, episode_pool=pool, meta_batch_size=20)
    draw = training_draw(config, 0)
    kinds = [set(zip(classes, turns, strict=True)) for classes, turns in zip(draw.classes, draw.turns, strict=True)]
    assert all(len(kind) == 100 for kind in kinds)
    assert all(len(set(classes)) < 100 for classes in draw.classes)


@pytest.mark.slow
def test_all_four_turns_and_all_classes_are_drawn_equally_often(tiny):
    draw = training_draw(tiny(rotations=True, ways=5, shots=1, queries=1, meta_batch_size=8000), 0)
    turns = np.bincount(draw.turns.ravel(), minlength=4)
    assert len(turns) == 4
    assert abs(turns - 10000).max() < 6 * 10000**0.5
    kinds = np.bincount((draw.classes * 4 + draw.turns).ravel(), minlength=1400)
    assert abs(kinds - 40000 / 1400).max() < 6 * (40000 / 1400) ** 0.5


def test_a_turned_class_shows_its_drawings_turned(tiny, noise):
    config = tiny(rotations=True, ways=8, meta_batch_size=4)
    draw = training_draw(config, 0)
    assert set(draw.turns.flat) == {0, 1, 2, 3}
    episode = gather(draw, noise, config)
    pixels = noise.numpy()
    for e in range(4):
        for way in range(8):
            drawn = pixels[draw.classes[e, way], draw.images[e, way], 0]
            turned = np.stack([np.rot90(image, draw.turns[e, way]) for image in drawn]) / 255
            assert np.array_equal(episode.support_images[e, 2 * way : 2 * way + 2, 0].numpy(), turned[:2])
            assert np.array_equal(episode.query_images[e, 3 * way : 3 * way + 3, 0].numpy(), turned[2:])


def test_a_permuted_visit_to_the_pool_keeps_each_class_with_its_turn_and_images(tiny):
    config = tiny(rotations=True, ways=5, episode_pool=6, meta_batch_size=6)

    def members(step: int) -> set:
        draw = training_draw(config, step)
        return {
            frozenset((classes[w], turns[w], *images[w]) for w in range(5))
            for classes, images, turns in zip(*draw, strict=True)
        }

    assert members(0) == members(1)
    assert len(members(0)) == 6


def test_evaluation_is_never_turned_and_scores_the_same_episodes(tiny):
    plain, turned = evaluation_draw(tiny(), 0, 300), evaluation_draw(tiny(rotations=True), 0, 300)
    assert not turned.turns.any()
    assert same(plain, turned)


def test_without_rotations_nothing_is_turned(tiny):
    for config in (tiny(), tiny(episode_pool=5), tiny(label_rule="groups"), tiny(label_rule="consecutive")):
        assert not training_draw(config, 0).turns.any()
        assert not probe_draw(config).turns.any()


def test_probes_look_at_the_pools_first_entries_with_their_labels_unpermuted(tiny):
    config = tiny(episode_pool=6, meta_batch_size=6, ways=5, probe_episodes=4)
    probed = probe_draw(config)
    assert len(probed.classes) == 4

    def members(draw) -> list:
        """Return each episode without its order of labels."""
        return [frozenset((classes[w], *images[w]) for w in range(5)) for classes, images, _ in zip(*draw, strict=True)]

    visited = training_draw(config, 0)
    assert set(members(probed)) < set(members(visited))
    every = probe_draw(tiny(episode_pool=6, ways=5, probe_episodes=99))
    assert len(every.classes) == 6  # as many as the pool has
    assert same(cut(every, 0, 4), probed)
    assert set(members(every)) == set(members(visited))


def test_a_probed_pool_entry_has_one_order_of_labels_while_training_permutes_it(tiny):
    config = tiny(episode_pool=1, meta_batch_size=1, ways=5)
    orders = {tuple(training_draw(config, step).classes[0]) for step in range(20)}
    assert len(orders) > 10
    assert all(same(probe_draw(config), probe_draw(config)) for _ in range(3))


def test_without_a_pool_probes_have_episodes_of_their_own_that_training_never_sees(tiny):
    config = tiny(probe_episodes=2, meta_batch_size=2)
    probed = probe_draw(config)
    assert set(probed.classes.flat) <= set(range(350))
    for step in range(50):
        assert not np.array_equal(training_draw(config, step).classes, probed.classes)
    assert not np.array_equal(evaluation_draw(config, 0, 2).classes, probed.classes)


def test_probes_of_any_config_at_one_seed_look_at_the_same_episodes(tiny):
    probed = probe_draw(tiny())
    assert same(probe_draw(tiny(algorithm="anil", head_scale=0.0, inner_steps=4, probe_every=3)), probed)
    assert not same(probe_draw(tiny(seed=1)), probed)


@pytest.mark.parametrize("rule", ["groups", "consecutive"])
def test_probes_follow_the_label_rule(tiny, rule):
    classes = probe_draw(tiny(label_rule=rule, probe_episodes=50)).classes
    if rule == "groups":
        assert (classes // 117 == np.arange(3)).all()  # 350 classes: 117, 117 and 116
    else:
        assert (classes % 3 == np.arange(3)).all()


@pytest.mark.parametrize(
    ("values", "support", "query", "image"),
    [
        (MINI | {"shots": 25}, 125, 75, (3, 84, 84)),
        ({"dataset": "omniglot", "ways": 20, "shots": 1}, 20, 300, (1, 28, 28)),
        ({"dataset": "omniglot", "ways": 20, "shots": 5}, 100, 300, (1, 28, 28)),
    ],
)
def test_the_papers_larger_tasks_are_episodes_of_the_right_shape(values, support, query, image):
    config = resolve(values | {"meta_batch_size": 2})
    rows, images = (100, 600) if config.dataset == "mini_imagenet" else (1623, 20)
    blank = torch.zeros(rows, images, image[0], 1, 1, dtype=torch.uint8).expand(rows, images, *image)
    for draw in (training_draw(config, 0), evaluation_draw(config, 0, 2)):
        episode = gather(draw, blank, config)
        assert episode.support_images.shape == (2, support, *image)
        assert episode.query_images.shape == (2, query, *image)
        assert episode.support_labels[0].bincount().tolist() == [config.shots] * config.ways
        assert episode.query_labels[0].bincount().tolist() == [config.queries] * config.ways


@pytest.mark.parametrize(
    "values",
    [{}, {"episode_pool": 7}, {"label_rule": "groups"}, {"label_rule": "consecutive", "episode_pool": 7},
     {"rotations": True}, {"rotations": True, "episode_pool": 7}, {"train_split": "test"}],
    ids=str,
)  # fmt: skip
def test_no_draw_depends_on_what_was_drawn_before(tiny, values):
    config, other = tiny(**values), tiny(seed=5, **values)
    draws = {
        **{f"train {n}": lambda n=n: training_draw(config, n) for n in range(6)},
        "probe": lambda: probe_draw(config),
        "evaluation": lambda: evaluation_draw(config, 2, 5),
    }
    forwards = {name: draw() for name, draw in draws.items()}
    training_draw(other, 3)
    backwards = {name: draw() for name, draw in reversed(draws.items())}
    assert all(same(forwards[name], backwards[name]) for name in draws)
