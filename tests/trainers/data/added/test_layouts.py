"""The layouts that people have on disk: tables, lists of classes, arrays in .npz and pickles."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.added.drawn import SPLITS, add, folders, pixels, save
from trainers.data import datasets
from trainers.data.added import reading
from trainers.data.added.wishes import Wishes
from trainers.data.archives import DataError


@pytest.fixture
def expected(tmp_path):
    """Return the description of the classes of SPLITS as folders, and the same pictures in no folders."""
    return add("asfolders", folders(tmp_path / "asfolders")).description


def flat(root: Path) -> list[tuple[str, str, str]]:
    """Write all pictures into one folder, and return (file, class, split) of each, last first."""
    rows = []
    for label, (split, name) in enumerate((split, name) for split, names in SPLITS.items() for name in names):
        for number in range(3):
            file = f"{name}_{number}.png"
            save(root / "images" / file, pixels(label, number))
            rows.append((file, name, split))
    return rows[::-1]


def table(path: Path, header: str, rows: list[tuple[str, ...]], comma: str = ",") -> Path:
    path.write_text("\n".join([header, *(comma.join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("header", ["file,class,split", "Filename;Label;Set", "\ufeffimage\tcategory\tphase"])
def test_one_table_with_splits(tmp_path, expected, header):
    comma = next(mark for mark in ",;\t" if mark in header)
    table(tmp_path / "in.csv", header, flat(tmp_path / "pictures"), comma)
    made = add("tabled", tmp_path / "pictures", csv=tmp_path / "in.csv").description
    assert (made.array, made.digest) == (expected.array, expected.digest)
    (tmp_path / "in.csv").rename(tmp_path / "pictures" / "in.csv")
    assert add("found", tmp_path / "pictures").description.origin.layout == "table in.csv"


def test_a_table_for_each_split(tmp_path, expected):
    rows = flat(tmp_path / "in")
    (tmp_path / "in" / "split").mkdir()
    for split in SPLITS:
        own = [(file, name) for file, name, of in rows if of == split]
        table(tmp_path / "in" / "split" / f"{split}.csv", "filename,label", own)
    assert add("tabled", tmp_path / "in").description.digest == expected.digest


def test_a_table_without_splits_needs_shares(tmp_path):
    rows = [row[:2] for row in flat(tmp_path / "in")]
    table(tmp_path / "in" / "labels.csv", "file,class", rows)
    assert add("tabled", tmp_path / "in", split="3/2/2").description.splits == {"train": 3, "val": 2, "test": 2}


def test_what_is_wrong_in_a_table_is_told_with_its_line(tmp_path):
    rows = flat(tmp_path / "in")
    rows[0] = ("gone.png", *rows[0][1:])
    rows[1] = (*rows[1][:2], "training set")
    rows[3] = rows[4]
    rows[-1] = (rows[-1][0], rows[-1][1], "test")
    table(tmp_path / "in" / "labels.csv", "file,class,split", rows)
    faults = "\n".join(reading.read(tmp_path / "in", Wishes()).faults)
    assert "labels.csv line 2: there is no file gone.png" in faults
    assert "labels.csv line 3: split 'training set' is none of train, val and test" in faults
    assert "labels.csv line 6: fox_1.png stands in labels.csv line 5 already" in faults
    assert "class ant: stands in train and test; a class has one split" in faults


def test_a_table_without_its_columns_says_which_it_has(tmp_path):
    flat(tmp_path / "in")
    table(tmp_path / "in" / "labels.csv", "id,name", [("1", "x")])
    with pytest.raises(DataError, match=r"labels\.csv: its columns are id, name; it must have one of file, filename"):
        add("tabled", tmp_path / "in")


def test_a_table_beside_class_folders_that_is_about_something_else_is_left_out(tmp_path, expected):
    table(tmp_path / "asfolders" / "authors.csv", "name,city", [("me", "here")])
    again = add("again", tmp_path / "asfolders")
    assert again.description.digest == expected.digest
    assert again.notes == ["left out, because it names no file and class: authors.csv"]


def test_cifar_fs_as_class_folders_and_lists(tmp_path, expected):
    root = tmp_path / "cifar100"
    folders(root / "data", split=False)
    for split, names in SPLITS.items():
        place = root / "splits" / "bertinetto" / f"{split}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(reversed(names)) + "\n")
    assert add("cifar_fs", root).description.digest == expected.digest
    save(root / "data" / "yak" / "0.png", pixels(0, 0))
    save(root / "data" / "yak" / "1.png", pixels(0, 1))
    again = add("more", root, lists=root / "splits" / "bertinetto")
    assert again.description.digest == expected.digest
    assert again.notes == ["left out, because no list names them: 1 classes, the first is yak"]
    (root / "splits" / "other").mkdir()
    (root / "splits" / "other" / "train.txt").write_text("ant\n")
    with pytest.raises(DataError, match=r"bertinetto, .*other; name one of them with --lists"):
        add("which", root)
    with pytest.raises(DataError, match=r"no class folder zebra|test: 0 classes"):
        (root / "splits" / "other" / "train.txt").write_text("ant\nbee\nzebra\n")
        add("which", root, lists=root / "splits" / "other")


def test_cub_as_its_archive_unpacks(tmp_path):
    root = tmp_path / "CUB_200_2011"
    folders(root / "images", split=False, channels=3)
    (root / "attributes").mkdir()
    (root / "classes.txt").write_text("1 001.ant\n")
    made = add("cub", root, split="3/2/2", size=16).description
    assert made.origin.layout == "class folders in images" and len(made.classes) == 7
    assert made.origin.options == {"size": 16, "split": "3/2/2"}


def arrays(split: str, channels: int = 3) -> tuple[np.ndarray, list[int]]:
    """Return images [N, 8, 8, C] of a split and their labels, which begin at 0 and are mixed."""
    labels = [0, 1, 1, 0, 1, 0] if split != "train" else [2, 0, 1, 2, 1, 0, 0, 1, 2]
    begin = {"train": 0, "val": 3, "test": 5}[split]
    counts: dict[int, int] = {}
    images = []
    for label in labels:
        images.append(pixels(begin + label, counts.get(label, 0), channels))
        counts[label] = counts.get(label, 0) + 1
    return np.stack(images), labels


def png(array: np.ndarray) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return np.frombuffer(content.getvalue(), np.uint8)


def as_pickles(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    (root / f"FC100_{split}.pickle").write_bytes(pickle.dumps({"data": images, "labels": labels}))


def as_pickles_of_python_2(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    content = {b"data": images, b"labels": np.array(labels)}
    (root / f"CIFAR_FS_{split}.pickle").write_bytes(pickle.dumps(content, protocol=2))


def as_tadam(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    np.savez(root / f"few-shot-{split}.npz", features=images, targets=np.array(labels))


def as_compressed(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    np.savez_compressed(root / f"{split}.npz", images=np.asfortranarray(images), labels=np.array(labels))


def as_tiered(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    np.savez(root / f"{split}_images.npz", images=images)
    content = {"label_specific": np.array(labels), "label_general": np.zeros(len(labels), int)}
    (root / f"{split}_labels.pkl").write_bytes(pickle.dumps(content))


def as_tiered_png(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    (root / f"{split}_images_png.pkl").write_bytes(pickle.dumps([png(image) for image in images]))
    content = {"label_specific": np.array(labels), "label_specific_str": ["n0", "n1"]}
    (root / f"{split}_labels.pkl").write_bytes(pickle.dumps(content))


def as_cache(root: Path, images: np.ndarray, labels: list[int], split: str) -> None:
    places = {str(label): [at for at, own in enumerate(labels) if own == label] for label in set(labels)}
    content = {"image_data": images, "class_dict": places}
    (root / f"mini-imagenet-cache-{split}.pkl").write_bytes(pickle.dumps(content))


@pytest.mark.parametrize(
    "lay", [as_pickles, as_pickles_of_python_2, as_tadam, as_compressed, as_tiered, as_tiered_png, as_cache]
)
def test_arrays_give_the_pictures_in_every_layout(tmp_path, lay):
    (tmp_path / "in").mkdir()
    for split in SPLITS:
        lay(tmp_path / "in", *arrays(split), split)
    made = add("arrays", tmp_path / "in").description
    colours = add("asfolders", folders(tmp_path / "asfolders", channels=3)).description
    assert made.classes == ("train/0", "train/1", "train/2", "val/0", "val/1", "test/0", "test/1")
    assert (made.array, made.splits) == (colours.array, colours.splits)


def test_a_pickle_that_asks_to_run_something_runs_nothing(tmp_path):
    class Asks:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "FC100_train.pickle").write_bytes(pickle.dumps({"data": Asks(), "labels": [0]}))
    with pytest.raises(DataError, match=r"asks to run .*mkdir.*; nothing was run"):
        add("bad", tmp_path / "in")
    assert not (tmp_path / "ran").exists()


def test_an_npz_with_objects_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "train.npz", images=np.array([{}, None], dtype=object), labels=np.zeros(2))
    with pytest.raises(DataError, match=r"train\.npz: not a readable \.npz .*holds objects"):
        add("bad", tmp_path / "in")


def test_numbers_of_images_and_labels_that_differ_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    for split in SPLITS:
        images, labels = arrays(split)
        as_tadam(tmp_path / "in", images[1:], labels, split)
    with pytest.raises(DataError, match=r"few-shot-train\.npz: 8 images and 9 labels"):
        add("bad", tmp_path / "in")


def test_images_of_floats_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    for split in SPLITS:
        images, labels = arrays(split)
        as_tadam(tmp_path / "in", images / 255, labels, split)
    with pytest.raises(DataError, match=r"few-shot-train\.npz image 1: is of float64, not of uint8"):
        add("bad", tmp_path / "in")


def test_a_set_of_arrays_is_verified_and_drawn_from_like_any_other(tmp_path):
    (tmp_path / "in").mkdir()
    for split in SPLITS:
        as_tiered(tmp_path / "in", *arrays(split), split)
    add("arrays", tmp_path / "in")
    assert datasets.verify("arrays", tmp_path) == []
