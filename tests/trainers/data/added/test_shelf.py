"""Descriptions and where they are found: checked when read, kept while a training lasts, known from elsewhere."""

import json

import pytest

from tests.trainers.data.added.drawn import add, folders
from trainers.data import datasets
from trainers.data.added import shelf
from trainers.data.added.description import as_json, from_json
from trainers.data.archives import DataError
from trainers.data.facts import facts_of, is_known


@pytest.fixture
def zoo(tmp_path):
    return add("zoo", folders(tmp_path / "zoo", {"ant": 5})).description


def test_a_description_comes_back_as_it_was_written(zoo):
    path = shelf.folder() / "zoo.json"
    assert path.read_bytes() == as_json(zoo)
    assert from_json(path.read_bytes(), path) == zoo


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("images", [5, 3, 3, 3, 3, 3], "differ in length"),
        ("images", [5, 3, 3, 3, 3, 3, 4], "its digest is not that of its content"),
        ("splits", {"train": 7}, "lacks train or test"),
        ("image_shape", [1, 8, 9], "pictures of 8x9"),
        ("image_shape", [2, 8, 8], "image_shape"),
        ("pixel_mean", [0.1, 0.2], "2 means and 1 deviations of 1 channels"),
        ("pixel_std", [0.0], "greater than 0"),
        ("name", "../zoo", "name"),
        ("form", 2, "form"),
        ("more", 1, "more"),
    ],
)
def test_a_description_that_add_does_not_write_is_refused(zoo, key, value, what):
    path = shelf.folder() / "zoo.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataError, match=r"zoo\.json: is no description of a data set") as caught:
        facts_of("zoo")
    assert what in str(caught.value) and "delete it and add the data set again" in str(caught.value)


def test_verify_finds_a_changed_byte(zoo, tmp_path):
    assert datasets.verify("zoo", tmp_path) == []
    path = shelf.array_of(zoo)
    harmed = bytearray(path.read_bytes())
    harmed[-1] ^= 1
    path.write_bytes(harmed)
    (finding,) = datasets.verify("zoo", tmp_path)
    assert finding.startswith(f"{path}: its bytes have changed since it was added; add it with `sweeper data add zoo")


def test_removing_leaves_neither_array_nor_description_and_no_other_set(zoo, tmp_path):
    add("zoo-two", tmp_path / "zoo")
    shelf.remove("zoo")
    assert shelf.names() == ["zoo-two"]
    assert not is_known("zoo") and not shelf.array_of(zoo).exists()
    assert datasets.verify("zoo-two", tmp_path) == []
    with pytest.raises(DataError, match=r"zoo: this machine has no data set of this name; add it with `sweeper data"):
        datasets.prepare("zoo", tmp_path)


def test_what_a_results_folder_knows_is_enough_for_the_facts_and_not_for_training(zoo, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "zoo.json").write_bytes(as_json(zoo))
    facts = facts_of("zoo")
    shelf.remove("zoo")
    monkeypatch.setattr(shelf, "_elsewhere", {})
    shelf.also_known(shelf.read(tmp_path / "results" / "zoo.json"))
    assert facts_of("zoo") == facts
    with pytest.raises(DataError) as caught:
        datasets.prepare("zoo", tmp_path)
    told = f"zoo: this machine lacks the data set with digest {zoo.digest[:16]} (7 classes of 3 to 5 images, 1x8x8); "
    assert str(caught.value).startswith(told + "add it with `sweeper data add zoo FOLDER`, where FOLDER was ")


def test_a_training_keeps_what_it_began_with(zoo, tmp_path):
    with shelf.holding("zoo", zoo.digest):
        shelf.remove("zoo")
        add("zoo", folders(tmp_path / "other", 4))
        assert facts_of("zoo").images == zoo.images
    assert facts_of("zoo").images == ()
    with pytest.raises(DataError, match=r"digest .* now; run the sweep again"), shelf.holding("zoo", zoo.digest):
        pass
    with shelf.holding("omniglot", "anything"):
        pass
