"""From folders of pictures to an array and a description: every pixel, every class, the splits, the digest."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.added.drawn import SPLITS, add, folders, pixels, save
from trainers.data import datasets
from trainers.data.added import shelf
from trainers.data.archives import DataError
from trainers.data.facts import facts_of, fewest_images, names, split_rows

CLASSES = tuple(name for split in SPLITS.values() for name in split)


def array(name: str) -> np.ndarray:
    return datasets.load(datasets.prepare(name, Path("nowhere")))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_array_has_every_pixel_in_the_order_of_splits_names_and_files(tmp_path, channels):
    description = add("zoo", folders(tmp_path / "zoo", channels=channels)).description
    expected = np.stack(
        [[pixels(label, number, channels).transpose(2, 0, 1) for number in range(3)] for label in range(7)]
    )
    np.testing.assert_array_equal(array("zoo"), expected)
    assert description.array == hashlib.sha256(expected.tobytes()).hexdigest()
    assert description.classes == CLASSES
    assert split_rows("zoo", "1200/423") == {"train": range(3), "val": range(3, 5), "test": range(5, 7)}
    facts = facts_of("zoo")
    assert (facts.classes, facts.images_per_class, facts.images) == (7, 3, ())
    assert facts.image_shape == (channels, 8, 8)
    assert "zoo" in names()


def test_classes_of_unequal_size_keep_all_their_images(tmp_path):
    counts = {"ant": 5, "eel": 2}
    add("zoo", folders(tmp_path / "zoo", counts))
    images = tuple(counts.get(name, 3) for name in CLASSES)
    facts = facts_of("zoo")
    assert (facts.images, facts.images_per_class) == (images, 2)
    flat = array("zoo")
    assert flat.shape == (sum(images), 1, 8, 8)
    rows = [(label, number) for label, count in enumerate(images) for number in range(count)]
    for place, (label, number) in enumerate(rows):
        np.testing.assert_array_equal(flat[place, 0], pixels(label, number)[:, :, 0])
    assert fewest_images("zoo", range(7)) == (2, 4)
    assert fewest_images("zoo", range(3)) == (3, 1)


def test_mean_and_deviation_are_those_of_the_training_pixels(tmp_path):
    description = add("zoo", folders(tmp_path / "zoo", {"bee": 5}, channels=3)).description
    trained = [(0, 3), (1, 5), (2, 3)]
    values = np.concatenate(
        [pixels(label, number, 3).reshape(-1, 3) for label, count in trained for number in range(count)]
    ).astype(np.float64)
    np.testing.assert_allclose(description.pixel_mean, values.mean(axis=0) / 255, atol=6e-7)
    np.testing.assert_allclose(description.pixel_std, values.std(axis=0) / 255, atol=6e-7)


@pytest.mark.parametrize(("wish", "mean"), [("none", (0.0,) * 3), ("imagenet", (0.485, 0.456, 0.406))])
def test_other_scales_are_the_ones_that_are_named(tmp_path, wish, mean):
    assert add("zoo", folders(tmp_path / "zoo", channels=3), normalise=wish).description.pixel_mean == mean


def test_a_split_by_shares_is_drawn_from_the_names_by_the_seed(tmp_path):
    folder = folders(tmp_path / "zoo", split=False)
    first = add("zoo", folder, split="3/2/2").description
    again = add("also", folder, split="3/2/2").description
    other = add("other", folder, split="3/2/2", seed=1).description
    assert first.classes == again.classes and first.digest == again.digest
    assert first.classes != other.classes and sorted(first.classes) == sorted(other.classes) == sorted(CLASSES)
    assert first.splits == {"train": 3, "val": 2, "test": 2}
    order = sorted(CLASSES, key=lambda name: hashlib.sha256(f"0/{name}".encode()).digest())
    assert first.classes == (*sorted(order[:3]), *sorted(order[3:5]), *sorted(order[5:]))
    assert add("halves", folder, split="60/40").description.splits == {"train": 4, "test": 3}


def test_the_digest_covers_the_split_and_the_scale_and_not_the_place(tmp_path):
    folder = folders(tmp_path / "zoo")
    first = add("zoo", folder).description
    moved = add("moved", folder.rename(tmp_path / "elsewhere")).description
    assert moved.digest == first.digest
    plain = add("plain", tmp_path / "elsewhere", normalise="none").description
    assert plain.array == first.array and plain.digest != first.digest
    (tmp_path / "elsewhere" / "val" / "dog").rename(tmp_path / "elsewhere" / "train" / "dog")
    (tmp_path / "elsewhere" / "val" / "eel").rename(tmp_path / "elsewhere" / "train" / "eel")
    joined = add("joined", tmp_path / "elsewhere", normalise="none").description
    assert joined.array == first.array and joined.digest != plain.digest


def test_a_class_in_deeper_folders_has_its_path_as_its_name(tmp_path):
    for alphabet, character in (("Greek", "c01"), ("Greek", "c02"), ("Latin", "c01"), ("Latin", "c02")):
        for number in range(2):
            save(tmp_path / "in" / alphabet / character / f"{number}.png", pixels(1, number))
    description = add("letters", tmp_path / "in", split="2/2").description
    assert sorted(description.classes) == ["Greek/c01", "Greek/c02", "Latin/c01", "Latin/c02"]


def test_links_to_class_folders_are_followed_and_a_circle_ends(tmp_path):
    real = folders(tmp_path / "real")
    for split, classes in SPLITS.items():
        (tmp_path / "zoo" / split).mkdir(parents=True)
        for name in classes:
            (tmp_path / "zoo" / split / name).symlink_to(real / split / name)
    (tmp_path / "zoo" / "train" / "ant" / "up").symlink_to(tmp_path / "zoo" / "train" / "ant")
    (real / "train" / "ant" / "up").unlink()
    assert add("zoo", tmp_path / "zoo").description.digest == add("real", real).description.digest


def test_sizes_are_squashed_or_cropped_and_resized_as_pillow_does(tmp_path):
    wide = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    for split, classes in SPLITS.items():
        for name in classes:
            for number in range(2):
                save(tmp_path / "in" / split / name / f"{number}.png", wide)
    add("squashed", tmp_path / "in", size=6)
    add("cropped", tmp_path / "in", size=6, fit="crop", filter="bicubic")
    image = Image.fromarray(wide)
    squashed = np.asarray(image.resize((6, 6), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    middle = image.resize((6, 6), Image.Resampling.BICUBIC, box=(4, 0, 16, 12))
    np.testing.assert_array_equal(array("squashed")[0, 0], squashed)
    np.testing.assert_array_equal(array("cropped")[0, 0], np.asarray(middle).transpose(2, 0, 1))


def test_modes_come_together_when_asked_and_what_is_transparent_is_white(tmp_path):
    folder = folders(tmp_path / "zoo", channels=3)
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4, :, 3] = 255
    Image.fromarray(clear).save(folder / "train" / "ant" / "0.png")
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(folder / "train" / "ant" / "1.png")
    Image.fromarray(np.array([[0, 255] * 4] * 8, np.uint8)).convert("1").save(folder / "train" / "ant" / "2.png")
    add("colours", folder, mode="colour")
    first = array("colours")[0]
    assert (first[0, :, :4] == 0).all() and (first[0, :, 4:] == 255).all()
    assert (first[1] == 7).all()
    assert set(np.unique(first[2])) == {0, 255}
    assert add("greys", folder, mode="grey").description.image_shape == (1, 8, 8)


def test_a_photograph_is_turned_as_its_camera_noted(tmp_path):
    folder = folders(tmp_path / "zoo", channels=3)
    picture = Image.fromarray(pixels(50, 0, 3))
    exif = picture.getexif()
    exif[0x0112] = 6  # a quarter turn clockwise shows it upright
    picture.save(folder / "train" / "ant" / "0.png", exif=exif)
    add("zoo", folder)
    np.testing.assert_array_equal(array("zoo")[0, 0], np.rot90(pixels(50, 0, 3), -1).transpose(2, 0, 1))


def test_adding_the_same_again_reads_no_picture_and_changes_nothing(tmp_path, cache, monkeypatch):
    folder = folders(tmp_path / "zoo")
    first = add("zoo", folder)
    before = {path: path.stat().st_mtime_ns for path in (cache / "added").iterdir()}
    monkeypatch.setattr("trainers.data.added.add.convert", None)
    again = add("zoo", folder)
    assert (first.before, again.before, again.description) == (False, True, first.description)
    assert {path: path.stat().st_mtime_ns for path in (cache / "added").iterdir()} == before


def test_the_same_pictures_from_elsewhere_are_the_same_set_and_an_array_that_is_gone_comes_back(tmp_path):
    folder = folders(tmp_path / "zoo")
    first = add("zoo", folder).description
    shelf.array_of(first).unlink()
    with pytest.raises(DataError, match=r"the array of zoo is gone or cut short; add it with `sweeper data add zoo"):
        datasets.prepare("zoo", tmp_path)
    again = add("zoo", folder.rename(tmp_path / "moved"))
    assert (again.before, again.description.digest) == (True, first.digest)
    assert datasets.prepare("zoo", tmp_path).digest == first.digest


def test_other_pictures_under_a_used_name_are_refused_and_nothing_changes(tmp_path):
    first = add("zoo", folders(tmp_path / "zoo")).description
    save(tmp_path / "zoo" / "test" / "gnu" / "2.png", pixels(99, 0))
    with pytest.raises(DataError) as caught:
        add("zoo", tmp_path / "zoo")
    told = str(caught.value)
    assert told.startswith(f"zoo: is another data set already, with digest {first.digest[:16]}")
    assert "add them under another name, or first `sweeper data remove zoo`" in told
    assert shelf.here("zoo") == first and datasets.verify("zoo", tmp_path) == []


def test_scales_are_finite_for_pictures_without_contrast(tmp_path):
    for split, classes in SPLITS.items():
        for name in classes:
            for number in range(2):
                save(tmp_path / "in" / split / name / f"{number}.png", np.full((8, 8, 1), 9, np.uint8))
    description = add("flat", tmp_path / "in").description
    assert description.pixel_std == (1.0,) and math.isclose(description.pixel_mean[0], 9 / 255, abs_tol=1e-6)
