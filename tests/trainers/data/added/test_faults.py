"""What can be wrong with a folder: named all at once, with nothing written."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.added.drawn import SPLITS, add, folders, pixels, save
from trainers.data.added import shelf
from trainers.data.archives import DataError


def told(folder: Path, **wishes: object) -> str:
    with pytest.raises(DataError) as caught:
        add("zoo", folder, **wishes)
    assert shelf.names() == []
    assert [path.name for path in shelf.folder().glob("*")] == []
    return str(caught.value)


def test_all_faults_of_a_folder_stand_in_one_message(tmp_path):
    folder = folders(tmp_path / "zoo", channels=3)
    (folder / "train" / "yak").mkdir()
    for name in ("1.png", "2.png"):
        (folder / "val" / "dog" / name).unlink()
    whole = (folder / "train" / "ant" / "0.png").read_bytes()
    (folder / "train" / "ant" / "0.png").write_bytes(whole[:-40])
    (folder / "train" / "ant" / "1.png").write_bytes(b"")
    (folder / "train" / "ant" / "2.png").write_text("no picture")
    save(folder / "test" / "gnu" / "0.png", pixels(0, 0, 1))
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "test" / "fox" / "0.png")
    message = told(folder)
    assert message.splitlines()[0] == f"zoo: nothing was added, because of 7 faults in {folder}:"
    for line in (
        "  train/yak: no pictures in this class folder; put some there, or remove it",
        "  class dog: 1 picture, at least 2 are needed; add some, or take the class away",
        r"  train/ant/0.png: is not a readable image \(.+\)",
        "  train/ant/1.png: is empty",
        r"  train/ant/2.png: is not a readable image \(unknown format\)",
        "  test/fox/0.png: has pixels of mode I;16; save it with 8 bits a channel",
        "  1 of 15 pictures are grey, beside coloured ones: test/gnu/0.png; bring all to one mode with --mode colour "
        "or --mode grey",
    ):
        assert re.search(rf"^{line}$", message, re.M), line


def test_many_faults_of_one_class_are_counted_and_long_lists_end(tmp_path):
    folder = folders(tmp_path / "zoo", 9)
    for name in SPLITS["train"]:
        for path in (folder / "train" / name).iterdir():
            path.write_bytes(b"")
    message = told(folder)
    assert message.count("is empty") == 9 and message.count("and 6 more in class") == 3


def test_sizes_that_differ_ask_for_one(tmp_path):
    folder = folders(tmp_path / "zoo")
    save(folder / "val" / "dog" / "0.png", pixels(0, 0, side=10))
    save(folder / "val" / "dog" / "1.png", np.zeros((30, 20, 1), np.uint8))
    assert "the pictures have 3 sizes, from 8x8 to 20x30; bring all to one square with --size" in told(folder)


def test_pictures_that_are_no_squares_ask_for_a_size(tmp_path):
    for split, names in SPLITS.items():
        for name in names:
            for number in range(2):
                save(tmp_path / "in" / split / name / f"{number}.png", np.zeros((8, 9, 1), np.uint8))
    assert "the pictures have 9x8; bring all to one square with --size" in told(tmp_path / "in")


def test_links_to_nowhere_pipes_and_a_bad_split_stand_in_the_same_message(tmp_path):
    folder = folders(tmp_path / "zoo", split=False)
    (folder / "ant" / "0.png").unlink()
    (folder / "ant" / "0.png").symlink_to(tmp_path / "gone.png")
    (folder / "bee" / "0.png").unlink()
    os.mkfifo(folder / "bee" / "0.png")
    message = told(folder, split="9/9")
    assert message.startswith(f"zoo: nothing was added, because of 3 faults in {folder}:\n  --split 9/9: its numbers")
    assert "  ant/0.png: can't be read (No such file or directory)\n" in message
    assert "  bee/0.png: can't be read (a named pipe, not a file)" in message


def test_a_folder_without_splits_says_how_to_give_them(tmp_path):
    message = told(folders(tmp_path / "zoo", split=False))
    assert "nothing says which of the 7 classes train and which test; give --split" in message


@pytest.mark.parametrize(
    ("shares", "what"),
    [
        ("4/2/2", "add up to 8; there are 7 classes, so they must add up to 7, or to 100 for shares in per cent"),
        ("half", "give numbers for train/val/test or train/test, for example 64/16/20"),
        ("1/2/3/1", "give numbers for train/val/test"),
        ("0/0/100", "none is left for train or for test"),
    ],
)
def test_shares_that_fit_no_classes_are_told(tmp_path, shares, what):
    assert f"--split {shares}: " in (message := told(folders(tmp_path / "zoo", split=False), split=shares))
    assert what in message


def test_shares_for_a_folder_with_splits_are_refused(tmp_path):
    assert "--split 3/2/2: the folder itself says which class is in which split" in told(
        folders(tmp_path / "zoo"), split="3/2/2"
    )


def test_a_class_in_two_splits_is_no_few_shot_split(tmp_path):
    folder = folders(tmp_path / "zoo")
    (folder / "test" / "gnu").rename(folder / "test" / "ant")
    assert "class ant: is in train and test; few-shot splits share no class" in told(folder)


def test_two_folders_of_one_split_are_told(tmp_path):
    folder = folders(tmp_path / "zoo")
    (folder / "validation").mkdir()
    assert "val and validation are the same split; keep one" in told(folder)


def test_pictures_without_class_folders_are_told(tmp_path):
    save(tmp_path / "in" / "0.png", pixels(0, 0))
    assert f"{tmp_path / 'in'}: 1 pictures lie beside the class folders; move them into one" in told(tmp_path / "in")


def test_pictures_beside_folders_with_pictures_are_told(tmp_path):
    folder = folders(tmp_path / "zoo")
    save(folder / "train" / "ant" / "red" / "0.png", pixels(0, 0))
    assert "train/ant: pictures lie beside folders with pictures; move either elsewhere" in told(folder)


def test_an_empty_folder_and_none_at_all_are_told(tmp_path):
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'}: no pictures in it (.jpg, .jpeg, .png" in told(tmp_path / "empty")
    assert f"{tmp_path / 'gone'}: is no folder; name the folder that holds" in told(tmp_path / "gone")


def test_a_split_of_one_class_is_told(tmp_path):
    folder = folders(tmp_path / "zoo")
    for path in (folder / "test" / "gnu").iterdir():
        path.unlink()
    (folder / "test" / "gnu").rmdir()
    assert "test: 1 classes, at least 2 are needed" in told(folder)


def test_the_scale_of_imagenet_is_for_coloured_pictures(tmp_path):
    assert "--normalise imagenet is for coloured ones; give train or none" in told(
        folders(tmp_path / "zoo"), normalise="imagenet"
    )


def test_a_least_number_of_pictures_is_kept(tmp_path):
    assert "class eel: 3 pictures, at least 4 are needed" in told(folders(tmp_path / "zoo"), least=4)


def test_what_is_no_picture_is_left_out_and_said(tmp_path):
    folder = folders(tmp_path / "zoo")
    for name in ("notes.txt", "more.txt", "a.gif", ".hidden", "Thumbs.db"):
        (folder / "train" / "ant" / name).write_text("x")
    (folder / "extra").mkdir()
    assert add("zoo", folder).notes == [
        "left out in train, because they are no pictures: 1 of .gif, 2 of .txt",
        "left out, because they are no split: extra",
    ]


@pytest.mark.parametrize("name", ["Birds", "1st", "a b", "", "x" * 65, "true", "../x", "bird.s"])
def test_bad_names_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"can't name a data set; a name is a letter from a to z"):
        add(name, tmp_path)


@pytest.mark.parametrize("name", ["omniglot", "strokes", "mini_imagenet"])
def test_built_in_names_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=f"{name} is built in; choose another name"):
        add(name, tmp_path)
