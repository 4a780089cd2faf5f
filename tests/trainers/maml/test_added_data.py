"""Trainers on added data: episodes of classes that differ in size, faults of configs, and whole short trainings."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainers.data.added.drawn import SPLITS, add, folders, pixels
from trainers.data import datasets
from trainers.data.added import shelf
from trainers.data.facts import facts_of
from trainers.maml.config import LEAST_SIDE, TrialConfig, resolve
from trainers.maml.episodes import evaluation_draw, gather, training_draw
from trainers.maml.layout import feature_count
from trainers.maml.recipe import recipe_of
from trainers.maml.shown import shown
from trainers.maml.trainer import MAML
from trainers.protonet.trainer import PROTONET
from trainers.trainer import ConfigError, Data, Task, TrainerError

COUNTS = {"ant": 9, "bee": 5, "cow": 7, "fox": 6, "gnu": 12}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder with the sets `ragged`, `even` (its first five images of each class) and `small`."""
    root = tmp_path_factory.mktemp("added")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(root / "cache"))
        add("ragged", folders(root / "ragged", COUNTS | {"dog": 5, "eel": 5}, side=28), normalise="none")
        add("even", folders(root / "even", 5, side=28), normalise="none")
        add("small", folders(root / "small", 5))
    return root / "cache"


@pytest.fixture(autouse=True)
def here(cache, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(cache))


def config(name: str, **values: object) -> TrialConfig:
    short = {
        "dataset": name, "channels": 4, "ways": 2, "shots": 2, "queries": 3, "inner_steps": 1, "meta_batch_size": 2,
        "outer_steps": 2, "eval_episodes": 2, "dtype": "float64",
    }  # fmt: skip
    return resolve(short | values)


def loaded(name: str) -> Tensor:
    return torch.from_numpy(datasets.load(datasets.prepare(name, Path("nowhere"))))


def test_each_class_is_drawn_from_all_its_own_images_evenly():
    own = config("ragged", meta_batch_size=6000)
    draw = training_draw(own, 0)
    counts = np.array(facts_of("ragged").images)
    assert (draw.images < counts[draw.classes][..., None]).all()
    assert all(len(set(images)) == 5 for images in draw.images.reshape(-1, 5))
    for label, count in enumerate((9, 5, 7)):
        first = np.bincount(draw.images[draw.classes == label][:, 0], minlength=count)
        expected = first.sum() / count
        assert len(first) == count and abs(first - expected).max() < 6 * expected**0.5


def test_gather_takes_the_image_of_its_class_from_a_flat_array():
    own = config("ragged", meta_batch_size=20)
    draw = training_draw(own, 0)
    episode = gather(draw, loaded("ragged"), own)
    assert episode.support_images.shape == (20, 4, 1, 28, 28)
    for e, way, shot in ((0, 0, 1), (19, 1, 0), (7, 1, 1)):
        wanted = pixels(draw.classes[e, way], draw.images[e, way, shot], side=28)[:, :, 0]
        assert torch.equal(episode.support_images[e, 2 * way + shot, 0], torch.from_numpy(wanted).double() / 255)
    query = pixels(draw.classes[3, 1], draw.images[3, 1, 4], side=28)[:, :, 0]
    assert torch.equal(episode.query_images[3, 3 + 2, 0], torch.from_numpy(query).double() / 255)


def test_evaluations_draw_test_classes_alone():
    assert set(evaluation_draw(config("ragged", eval_episodes=50), 0, 50).classes.flat) == {5, 6}


def test_a_flat_array_of_equal_classes_gives_the_same_episodes_as_one_with_an_axis_of_classes(monkeypatch):
    own = config("even")
    grid = loaded("even")
    expected = gather(training_draw(own, 1), grid, own)
    counted = facts_of("even").__class__(**{**vars(facts_of("even")), "images": (5,) * 7})
    monkeypatch.setattr("trainers.maml.episodes.facts_of", lambda name: counted)
    found = gather(training_draw(own, 1), grid.flatten(0, 1), own)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("values", "field", "what"),
    [
        (
            {"queries": 4},
            "shots",
            "shots + queries = 2 + 4 = 6, but ragged has 5 images of class bee; lower shots or queries",
        ),
        ({"omniglot_split": "1028/172/423"}, "omniglot_split", "has no meaning for ragged"),
        ({"ways": 3}, "ways", "3 ways, but ragged has a split of 2 classes"),
        ({"train_classes": "ant yak"}, "train_classes", "'yak' is not a class of ragged; give the name of a class or"),
        (
            {"dataset": "small"},
            "network",
            "conv4_strided needs images of 23x23 or more, and small has 8x8; choose another network, or add the data "
            "set with a larger --size",
        ),
    ],
)
def test_a_config_that_the_set_can_not_give_is_told(values, field, what):
    with pytest.raises(ConfigError) as caught:
        config("ragged", **values)
    assert [what in problem.message for problem in caught.value.problems if problem.field == field] == [True]


def test_only_the_classes_of_the_splits_that_are_used_count():
    assert config("ragged", queries=3, train_classes="ant cow").train_classes == "ant cow"
    assert config("ragged", train_split="test", queries=4).queries == 4  # both test classes have six or more


def test_a_set_without_validation_classes_says_so(tmp_path):
    for name in SPLITS["val"]:
        for path in (folder := folders(tmp_path / name, 5, side=28) / "val").rglob("*.png"):
            path.unlink()
        for inner in folder.iterdir():
            inner.rmdir()
        folder.rmdir()
        break
    add("two", tmp_path / "dog")
    with pytest.raises(ConfigError, match=r"two has no validation classes; use test$"):
        config("two", eval_split="val")


@pytest.mark.parametrize(("network", "least"), LEAST_SIDE.items())
def test_the_least_side_is_the_first_that_leaves_a_feature(network, least, monkeypatch):
    for side, features in ((least, True), (least - 1, False)):
        fake = facts_of("small").__class__(**{**vars(facts_of("small")), "image_shape": (1, side, side)})
        monkeypatch.setattr("trainers.maml.layout.facts_of", lambda name, fake=fake: fake)
        own = config("ragged").model_copy(update={"network": network})
        assert (feature_count(own) > 0) is features


def test_an_unknown_set_says_how_to_add_it():
    with pytest.raises(ConfigError, match=r"should be 'omniglot', 'strokes', 'mini_imagenet', 'even', .*got 'cifar'"):
        config("cifar")


def test_the_recipe_names_no_set_and_built_in_sets_keep_theirs():
    assert recipe_of(config("ragged")) == {"core": 1, "added_data": 1, "second_order": 1}
    assert "omniglot" in recipe_of(resolve({"dataset": "omniglot"}))


def prepared(name: str) -> Data:
    return MAML.prepare(name, Path("nowhere"))


def test_maml_trains_on_classes_of_unequal_size():
    own = config("ragged", eval_every=1)
    task = Task(configs=[own], states=[MAML.begun(own)], data=prepared("ragged"), engine="loop")
    *_, last = MAML.train(task)
    assert last.step == 2 and last.runs[0].status == "done"


def test_protonet_trains_on_classes_of_unequal_size():
    own = PROTONET.resolve({
        "dataset": "ragged", "channels": 4, "ways": 2, "shots": 2, "queries": 3, "outer_steps": 2, "eval_every": 2,
        "eval_episodes": 2,
    })  # fmt: skip
    *_, last = PROTONET.train(Task(configs=[own], states=[PROTONET.begun(own)], data=prepared("ragged")))
    assert last.step == 2 and last.runs[0].status == "done"
    assert PROTONET.recipe(own) == {"protonet": 1, "added_data": 1}


def test_a_trial_of_another_set_of_this_name_is_not_trained():
    own = config("ragged")
    data = prepared("ragged")._replace(digest="0" * 64)
    with pytest.raises(TrainerError, match=r"ragged: the data set with digest 0000000000000000 has digest"):
        next(MAML.train(Task(configs=[own], states=[MAML.begun(own)], data=data, engine="loop")))


@pytest.mark.parametrize("name", ["ragged", "even"])
def test_what_is_shown_is_what_the_trainer_gathers(name):
    own = config(name, meta_batch_size=3)
    draw = training_draw(own, 1)
    found = shown(own, loaded(name), "train", 3 + 2)
    assert found.classes == tuple(draw.classes[2])
    assert found.support.shape == (2, 2, 1, 28, 28) and found.query.shape == (2, 3, 1, 28, 28)
    for way in range(2):
        together = np.concatenate([found.support[way], found.query[way]])
        for place, number in enumerate(draw.images[2, way]):
            np.testing.assert_array_equal(together[place, 0], pixels(draw.classes[2, way], number, side=28)[:, :, 0])
    evaluated = evaluation_draw(own, 1, 2)
    assert shown(own, loaded(name), "test", 1).classes == tuple(evaluated.classes[0])


@pytest.mark.parametrize(
    ("split", "number", "what"),
    [
        ("train", 6, "draws training episodes 0 to 5"),
        ("val", 0, "its eval_split is test"),
        ("test", 2, "draws test episodes 0 to 1"),
    ],
)
def test_an_episode_that_the_trial_does_not_draw_is_told(split, number, what):
    with pytest.raises(ValueError, match=what):
        shown(config("even", meta_batch_size=3), loaded("even"), split, number)


def test_the_set_that_is_held_while_a_training_lasts_is_let_go(monkeypatch):
    own = config("even", outer_steps=3)
    chunks = MAML.train(Task(configs=[own], states=[MAML.begun(own)], data=prepared("even"), engine="loop", chunk_s=0))
    next(chunks)
    assert "even" in shelf._held
    chunks.close()
    assert "even" not in shelf._held
