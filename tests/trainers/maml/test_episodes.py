"""The sampler: what an episode is, and that it is a pure function of (seed, split, step)."""

import numpy as np
import torch

from trainers.data.catalog import CATALOG, class_ranges
from trainers.maml.episodes import evaluation_draw, gather, training_draw


def test_classes_are_distinct_and_support_and_query_images_disjoint(tiny):
    draw = training_draw(tiny(ways=5, shots=3, queries=17, meta_batch_size=40), 7)
    assert draw.classes.shape == (40, 5)
    assert draw.images.shape == (40, 5, 20)
    assert all(len(set(classes)) == 5 for classes in draw.classes)
    assert (np.sort(draw.images, axis=2) == np.arange(20)).all()


def test_each_split_draws_all_of_its_own_classes_and_no_other(tiny):
    config = tiny(ways=20, shots=1, queries=1, meta_batch_size=400)
    ranges = class_ranges("strokes", config.omniglot_split)
    assert set(training_draw(config, 0).classes.flat) == set(ranges["train"])
    assert set(evaluation_draw(config, 0, 200).classes.flat) == set(ranges["test"])
    val = tiny(ways=20, shots=1, queries=1, eval_split="val")
    assert set(evaluation_draw(val, 0, 200).classes.flat) == set(ranges["val"])


def test_classes_and_images_are_drawn_evenly(tiny):
    draw = training_draw(tiny(ways=5, shots=1, queries=1, meta_batch_size=8000), 0)
    per_class = np.bincount(draw.classes.ravel(), minlength=350)
    expected = 8000 * 5 / 350
    assert abs(per_class - expected).max() < 6 * expected**0.5
    per_image = np.bincount(draw.images[:, :, 0].ravel(), minlength=20)
    assert abs(per_image - 2000).max() < 6 * 2000**0.5


def test_an_episode_depends_on_seed_split_and_step_alone(tiny):
    config = tiny()
    again = tiny(head_scale=0.0, zero_head_every=1, head_bias=False, order="first", inner_lr=0.5, outer_steps=99)
    for step in (0, 5):
        assert all(map(np.array_equal, training_draw(config, step), training_draw(again, step)))
    assert not np.array_equal(training_draw(config, 0).classes, training_draw(config, 1).classes)
    assert not np.array_equal(training_draw(config, 0).classes, training_draw(tiny(seed=1), 0).classes)


def test_the_evaluation_list_is_drawn_with_the_trials_own_seed(tiny):
    lists = [evaluation_draw(tiny(seed=seed), 0, 5) for seed in (0, 1, 2**53, 2**53 + 1)]
    assert len({(drawn.classes.tobytes(), drawn.images.tobytes()) for drawn in lists}) == 4
    again = evaluation_draw(tiny(seed=1, inner_lr=0.5, zero_head_every=1), 0, 5)
    assert all(map(np.array_equal, lists[1], again))


def test_the_evaluation_list_does_not_depend_on_how_it_is_sliced(tiny):
    config = tiny()
    whole = evaluation_draw(config, 0, 7)
    parts = [evaluation_draw(config, 0, 3), evaluation_draw(config, 3, 7)]
    assert np.array_equal(whole.classes, np.concatenate([part.classes for part in parts]))
    assert np.array_equal(whole.images, np.concatenate([part.images for part in parts]))


def test_a_pool_is_visited_whole_each_epoch_in_new_order_with_new_labels(tiny):
    config = tiny(episode_pool=6, meta_batch_size=4, ways=5)

    def epoch(first_step: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        draws = [training_draw(config, step) for step in range(first_step, first_step + 3)]
        classes = np.concatenate([draw.classes for draw in draws])
        return [(tuple(row), tuple(sorted(row))) for row in classes]

    visits = epoch(0)  # 3 steps of 4 episodes: two epochs of 6
    first, second = visits[:6], visits[6:]
    assert sorted(members for _, members in first) == sorted(members for _, members in second)
    assert [members for _, members in first] != [members for _, members in second]
    order_of = {members: labels for labels, members in first}
    assert any(order_of[members] != labels for labels, members in second)


def test_gather_gives_the_drawn_images_normalised_with_labels_in_class_order(tiny, noise):
    config = tiny(ways=3, shots=2, queries=4)
    draw = training_draw(config, 0)
    episode = gather(draw, noise, config)
    assert episode.support_images.shape == (2, 6, 1, 28, 28)
    assert episode.query_images.shape == (2, 12, 1, 28, 28)
    assert episode.support_labels[0].tolist() == [0, 0, 1, 1, 2, 2]
    assert episode.query_labels[1].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for e, way, shot in ((0, 0, 1), (1, 2, 0)):
        pixels = noise[draw.classes[e, way], draw.images[e, way, shot]].double() / 255
        assert torch.equal(episode.support_images[e, 2 * way + shot], pixels)


def test_colour_pixels_are_normalised_channel_by_channel(tiny):
    config = tiny(dataset="mini_imagenet", network="conv4_pooled")
    facts = CATALOG["mini_imagenet"]
    white = torch.full((100, 600, 3, 1, 1), 255, dtype=torch.uint8)
    found = gather(training_draw(config, 0), white, config).support_images[0, 0].flatten()
    mean, std = torch.tensor(facts.pixel_mean), torch.tensor(facts.pixel_std)
    torch.testing.assert_close(found, ((1 - mean) / std).double(), rtol=1e-6, atol=0)
