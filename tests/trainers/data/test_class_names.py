"""Classes named in a config: whatever is drawn for training comes from them, and a wrong name is told."""

import pytest

from trainers.data.catalog import class_ranges
from trainers.data.class_names import named_classes
from trainers.data.mini_imagenet_classes import WNIDS
from trainers.maml.episodes import evaluation_draw, probe_draw, training_draw
from trainers.trainer import ConfigError

DOGS = "n02108915 n02091831 n02089867 n02116738 n02099601"


def test_wordnet_ids_are_rows_of_the_array_split_after_split():
    ranges = class_ranges("mini_imagenet", "1200/423")
    for split, wnids in WNIDS.items():
        assert named_classes("mini_imagenet", " ".join(wnids)) == tuple(ranges[split])
    assert [row in ranges["train"] for row in named_classes("mini_imagenet", DOGS)] == [True, True, True, False, False]


@pytest.mark.parametrize("pool", [0, 3])
def test_training_and_probes_draw_from_the_named_classes_and_evaluations_do_not(tiny, pool):
    config = tiny(train_classes="7 400 12 9", episode_pool=pool, ways=3)
    for draw in (*(training_draw(config, step) for step in range(20)), probe_draw(config)):
        assert set(draw.classes.flatten()) <= {7, 400, 12, 9}
    drawn = {row for step in range(20) for row in training_draw(config, step).classes.flatten()}
    assert len(drawn) == 4 or pool
    assert set(evaluation_draw(config, 0, 20).classes.flatten()) <= set(range(400, 500))


def test_names_of_a_whole_split_draw_what_the_split_draws(tiny):
    named = tiny(train_classes=" ".join(map(str, range(350))))
    for step in range(3):
        ours, split = training_draw(named, step), training_draw(tiny(), step)
        assert (ours.classes == split.classes).all() and (ours.images == split.images).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"train_classes": "1 2 500"}, "train_classes: '500' is not a class of strokes; give a number below 500"),
        ({"train_classes": "1 2 -1"}, "train_classes: '-1' is not a class"),
        ({"train_classes": "1 2 n02108915"}, "train_classes: 'n02108915' is not a class of strokes"),
        ({"train_classes": "1 2 1"}, "train_classes: '1' is named twice"),
        ({"train_classes": "1 2"}, "train_classes: 2 classes, but an episode needs 3; name more"),
        ({"train_classes": "1 2 3", "train_split": "test"}, "train_split: test has no meaning where train_classes"),
        ({"train_classes": "1 2 3", "label_rule": "groups"}, "label_rule: groups has no meaning"),
        ({"train_classes": "1 2 3", "rotations": True}, "rotations: true has no meaning"),
    ],
)
def test_what_names_no_classes_is_told(tiny, values, said):
    with pytest.raises(ConfigError, match=said):
        tiny(**values)


def test_a_wrong_id_is_told_with_what_is_allowed(tiny):
    said = "'n0' is not a class of mini_imagenet; give a WordNet id of mini-ImageNet or a number below 100"
    with pytest.raises(ConfigError, match=said):
        tiny(dataset="mini_imagenet", train_classes="n0 1 2")
