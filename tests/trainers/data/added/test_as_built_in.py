"""The pictures of a built-in set, written out as class folders, give its array to the bit when they are added."""

import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.budget import LONG
from tests.trainers.data.added.drawn import add
from trainers.data import datasets, mini_imagenet, omniglot
from trainers.data.catalog import CATALOG, class_ranges

OMNIGLOT = {"size": 28, "filter": "bicubic", "normalise": "none"}
"""How the reader of Omniglot brings drawings to 28 x 28, and scales them."""


def test_characters_as_omniglots_reader_has_them(tmp_path):
    draws = np.random.default_rng(0)
    for half, alphabets in (("images_background", ("Ya", "Bo")), ("images_evaluation", ("Ma", "Ka"))):
        for alphabet, number in itertools.product(alphabets, range(2)):
            for drawing in range(3):
                path = tmp_path / half / alphabet / f"character{number:02}" / f"{drawing:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draws.random((105, 105)) < 0.9).save(path)
    extent = omniglot.Extent(alphabets=(2, 2), characters=(4, 4), drawings=3, side=105)
    expected = np.stack(list(omniglot.classes(tuple(tmp_path / half for half in omniglot.HALVES), extent)))
    for half in omniglot.HALVES:
        for alphabet in (tmp_path / half).iterdir():
            place = tmp_path / "own" / ("train" if alphabet.name < "M" else "test") / alphabet.name
            place.parent.mkdir(parents=True, exist_ok=True)
            alphabet.rename(place)
    add("own", tmp_path / "own", **OMNIGLOT)
    np.testing.assert_array_equal(datasets.load(datasets.prepare("own", tmp_path)), expected)


@pytest.mark.slow
def test_all_of_omniglot_gives_the_digest_of_the_catalog(tmp_path, real_data):
    """Only in `make test-long`: 32,460 files are written and read."""
    if not LONG:
        pytest.skip("make test-long writes out all of Omniglot")
    drawings: dict[tuple[str, str], list[tuple[zipfile.ZipFile, str]]] = {}
    for source in omniglot.find(real_data):
        archive = zipfile.ZipFile(source)
        for name in archive.namelist():
            if name.endswith(".png"):
                alphabet, character, _ = name.split("/")[-3:]
                drawings.setdefault((alphabet, character), []).append((archive, name))
    train = class_ranges("omniglot", "1200/423")["train"]
    for row, ((alphabet, character), members) in enumerate(sorted(drawings.items())):
        place = tmp_path / "in" / ("train" if row in train else "test") / alphabet / character
        place.mkdir(parents=True)
        for archive, name in members:
            (place / Path(name).name).write_bytes(archive.read(name))
    made = add("letters", tmp_path / "in", **OMNIGLOT).description
    facts, built_in = made.facts(), CATALOG["omniglot"]
    assert made.array == built_in.digest
    same = ("classes", "images_per_class", "image_shape", "pixel_mean", "pixel_std", "images")
    assert all(getattr(facts, name) == getattr(built_in, name) for name in same)
    assert dict(facts.splits) == {split: len(rows) for split, rows in class_ranges("omniglot", "1200/423").items()}


@pytest.mark.slow
def test_classes_of_mini_imagenet_give_the_same_bits(tmp_path, real_data):
    (source,) = [path for path in mini_imagenet.find(real_data) if path.name == "val.zip"]
    wnids = mini_imagenet.MINI_IMAGENET.wnids["val"]
    extent = mini_imagenet.Extent(wnids={"train": (), "val": wnids, "test": ()}, images=600)
    expected = np.stack(list(itertools.islice(mini_imagenet.classes((source,), extent), 4)))
    with zipfile.ZipFile(source) as archive:
        for row, wnid in enumerate(wnids[:4]):
            place = tmp_path / "in" / ("train" if row < 2 else "test") / wnid
            place.mkdir(parents=True)
            for name in archive.namelist():
                if name.startswith(wnid):
                    (place / name).write_bytes(archive.read(name))
    made = add("own", tmp_path / "in", normalise="imagenet").description
    np.testing.assert_array_equal(datasets.load(datasets.prepare("own", tmp_path)), expected)
    assert (made.pixel_mean, made.pixel_std) == (
        CATALOG["mini_imagenet"].pixel_mean,
        CATALOG["mini_imagenet"].pixel_std,
    )
