"""mini-ImageNet's reader: every layout gives the same rows in the same order, and a pickle can't run code."""

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.data import datasets, mini_imagenet
from trainers.data.archives import DataError
from trainers.data.mini_imagenet import MINI_IMAGENET, Extent

WNIDS = {"train": ("n00000002", "n00000005"), "val": ("n00000001",), "test": ("n00000003",)}
SMALL = Extent(wnids=WNIDS, images=2)
SHADES = {  # of each file, in the order that rows must come in
    "n0000000200000007.jpg": 20, "n0000000200000009.jpg": 40, "n0000000500000001.jpg": 60,
    "n0000000500000002.jpg": 80, "n0000000100000003.jpg": 100, "n0000000100000004.jpg": 120,
    "n0000000300000005.jpg": 140, "n0000000300000006.jpg": 160,
}  # fmt: skip


def picture(shade: int, size: tuple[int, int] = (84, 84)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 255 - shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def pictures(split: str) -> dict[str, bytes]:
    """Return a split's files, last first, so that no order comes right by luck."""
    return {name: picture(shade) for name, shade in reversed(SHADES.items()) if name[:9] in WNIDS[split]}


def packed(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def as_zips(root: Path, folder: str = "miniimagenet") -> None:
    train = pictures("train")
    for number, wnid in enumerate(reversed(WNIDS["train"])):
        files = {name: content for name, content in train.items() if name.startswith(wnid)}
        packed(root / folder / f"train-{number}.zip", files)
    for split in ("val", "test"):
        packed(root / folder / f"{split}.zip", pictures(split))


def as_folder(root: Path) -> None:
    images = root / "mini-imagenet" / "images"
    images.mkdir(parents=True)
    for split in WNIDS:
        for name, content in pictures(split).items():
            (images / name).write_bytes(content)


def as_tables(root: Path) -> None:
    as_folder(root)
    folder = root / "mini-imagenet"
    (folder / "images" / "n0000000200000001.jpg").write_bytes(picture(200))  # in no table, so in no class
    for split in WNIDS:
        lines = [f"{name},{name[:9]}" for name in pictures(split)]
        (folder / f"{split}.csv").write_text("\n".join(["filename,label", *lines]) + "\n")


def as_split_tables(root: Path) -> None:
    """The tables lie in a folder `split`, and the pictures end in .JPEG."""
    as_tables(root)
    folder = root / "mini-imagenet"
    (folder / "split").mkdir()
    for split in WNIDS:
        (folder / f"{split}.csv").rename(folder / "split" / f"{split}.csv")
    for path in (folder / "images").iterdir():
        path.rename(path.with_suffix(".JPEG"))


def as_class_folders(root: Path, folder: str = "miniImageNet", suffix: str = ".JPEG") -> None:
    """A folder of each class below train, val and test, as MAML's own script makes them."""
    for split in WNIDS:
        for name, content in pictures(split).items():
            place = root / folder / split / name[:9] / Path(name).with_suffix(suffix)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def as_classes(root: Path) -> None:
    """All class folders in one, and names of files that don't tell their class."""
    for split in WNIDS:
        for name, content in pictures(split).items():
            place = root / "mini imagenet" / name[:9] / f"{name[9:-4]}.jpeg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def as_links(root: Path) -> None:
    """Class folders behind links, in folders with spaces; one leads back to where it is."""
    as_class_folders(root / "my disk", suffix=".JPG")
    for split in WNIDS:
        (root / "mini imagenet" / split).mkdir(parents=True)
        for wnid in WNIDS[split]:
            (root / "mini imagenet" / split / wnid).symlink_to(root / "my disk" / "miniImageNet" / split / wnid)
    (root / "mini imagenet" / "val" / "again").symlink_to(root / "mini imagenet" / "val")
    (root / "mini imagenet" / "val" / "n00000001" / "._n0000000100000003.JPG").write_bytes(b"of macOS")


def cache_of(split: str) -> dict[str, object]:
    names = [name for name in SHADES if name[:9] in WNIDS[split]]
    decoded = [np.asarray(Image.open(io.BytesIO(picture(SHADES[name])))) for name in names]
    places = {wnid: [place for place, name in enumerate(names) if name.startswith(wnid)] for wnid in WNIDS[split]}
    return {"image_data": np.stack(decoded), "class_dict": dict(reversed(places.items()))}


def as_pickles(root: Path, protocol: int = 4) -> None:
    for split in WNIDS:
        with (root / f"mini-imagenet-cache-{split}.pkl").open("wb") as file:
            pickle.dump(cache_of(split), file, protocol)


def read(root: Path, extent: Extent = SMALL) -> np.ndarray:
    return np.stack(list(mini_imagenet.classes(mini_imagenet.find(root), extent)))


LAYOUTS = [as_zips, as_folder, as_tables, as_pickles, as_split_tables, as_class_folders, as_classes, as_links]


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_every_layout_gives_the_same_bits(tmp_path, layout):
    as_zips(tmp_path / "zips")
    layout(tmp_path / "a copy") if layout is not as_pickles else layout(_made(tmp_path / "a copy"))
    np.testing.assert_array_equal(read(tmp_path / "a copy"), read(tmp_path / "zips"))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_rows_by_split_and_wnid_and_images_by_name(tmp_path, layout):
    layout(tmp_path)
    images = read(tmp_path)
    assert images.shape == (4, 2, 3, 84, 84)
    assert images.dtype == np.uint8
    np.testing.assert_allclose(images[:, :, 0].mean(axis=(2, 3)).ravel(), list(SHADES.values()), atol=2)
    np.testing.assert_allclose(images[:, :, 2].mean(axis=(2, 3)).ravel(), [255 - s for s in SHADES.values()], atol=2)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_protocol_are_read(tmp_path, protocol):
    as_pickles(tmp_path, protocol)
    as_zips(tmp_path / "zips")
    np.testing.assert_array_equal(read(tmp_path), read(tmp_path / "zips"))


@pytest.mark.parametrize("folder", ["miniimagenet", "mini-imagenet", "mini_imagenet", ""])
def test_zips_are_found_in_each_folder_they_may_lie_in(tmp_path, folder):
    as_zips(tmp_path, folder)
    names = [source.name for source in mini_imagenet.find(tmp_path)]
    assert names == ["train-0.zip", "train-1.zip", "val.zip", "test.zip"]


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".JPEG"])
@pytest.mark.parametrize("folder", ["miniImagenet", "mini_imagenet_full_size", "mini ImageNet", ""])
def test_pictures_of_every_spelling_are_found_in_folders_of_every_spelling(tmp_path, folder, suffix):
    as_class_folders(tmp_path, folder, suffix)
    assert [source.name for source in mini_imagenet.find(tmp_path)] == ["train", "val", "test"]
    assert read(tmp_path).shape == (4, 2, 3, 84, 84)


@pytest.mark.parametrize(
    "place", ["miniimagenet", "miniimagenet/train.zip", "miniimagenet/images/n0000000100000003.jpg"]
)
def test_a_link_to_nowhere_is_named_with_what_is_missing(tmp_path, place):
    as_folder(tmp_path) if "images" in place else None
    (tmp_path / "mini-imagenet").rename(tmp_path / "miniimagenet") if "images" in place else None
    link = tmp_path / place
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "unmounted")
    (link.parent / "val.zip").touch() if place.endswith(".zip") else None
    (link.parent / "test.zip").touch() if place.endswith(".zip") else None
    with pytest.raises(DataError, match=rf"{link}: a link to {tmp_path}/unmounted, which is missing"):
        read(tmp_path)
    assert f"{link}: a link to" in datasets.describe("mini_imagenet", tmp_path).trouble


def test_a_pipe_among_the_pictures_is_no_endless_wait(tmp_path):
    as_folder(tmp_path)
    pipe = tmp_path / "mini-imagenet" / "images" / "n0000000300000005.jpg"
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="a named pipe, not a file"):
        read(tmp_path)


def test_that_pictures_are_resized_is_said_once(tmp_path, caplog):
    as_class_folders(tmp_path)
    for path in (tmp_path / "miniImageNet/train/n00000002").iterdir():
        path.write_bytes(picture(20, size=(500, 375)))
    with caplog.at_level("INFO", logger="trainers"):
        read(tmp_path)
    (said,) = caplog.messages
    assert "is 500x375, not 84x84; such pictures are resized (bilinear)" in said


def test_images_of_another_size_are_resized_to_84(tmp_path):
    as_folder(tmp_path)
    (tmp_path / "mini-imagenet" / "images" / "n0000000200000007.jpg").write_bytes(picture(20, size=(120, 90)))
    assert read(tmp_path)[0, 0, 0].mean() == pytest.approx(20, abs=2)


class Evil:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("deep", [False, True], ids=["top", "inside"])
def test_a_pickle_that_names_code_runs_none_of_it(tmp_path, deep):
    as_pickles(tmp_path)
    evil = Evil(os.mkdir, str(tmp_path / "was-here"))
    content = cache_of("val") | {"more": evil} if deep else evil
    (tmp_path / "mini-imagenet-cache-val.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"cache-val\.pkl: this pickle asks to run (posix|nt)\.mkdir"):
        read(tmp_path)
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    "content",
    [
        collections.Counter("abc"),
        Evil(eval, "1"),
        Evil(np.load, "x.npy"),
    ],
    ids=["harmless class", "builtin", "numpy function"],
)
def test_whatever_is_no_array_is_refused(tmp_path, content):
    as_pickles(tmp_path)
    (tmp_path / "mini-imagenet-cache-test.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="asks to run"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"not a pickle", "not a readable pickle"),
        (pickle.dumps(cache_of("test"))[:-500], "not a readable pickle"),
        (pickle.dumps({"image_data": np.array([{}])}), "not a readable pickle.*not numeric"),
        (pickle.dumps([1, 2]), "not a dict with image_data"),
        (pickle.dumps(cache_of("test") | {"image_data": np.zeros((2, 84, 84))}), "not a uint8 array"),
        (pickle.dumps(cache_of("test") | {"class_dict": {"n00000003": [0, 2]}}), "must hold indices from 0 to 1"),
        (pickle.dumps(cache_of("test") | {"class_dict": {"n00000003": [0]}}), "1 images of class n00000003"),
        (pickle.dumps(cache_of("test") | {"class_dict": {"n00000009": [0, 1]}}), "class n00000009 is not one of"),
        (pickle.dumps(cache_of("test") | {"class_dict": [0, 1]}), "class_dict is not a dict"),
    ],
)
def test_a_pickle_with_other_content_is_one_error(tmp_path, content, told):
    as_pickles(tmp_path)
    (tmp_path / "mini-imagenet-cache-test.pkl").write_bytes(content)
    with pytest.raises(DataError, match=rf"cache-test\.pkl: .*{told}"):
        read(tmp_path)


def test_nothing_there_names_the_layouts(tmp_path):
    with pytest.raises(DataError, match=r"train\.zip .* mini-imagenet-cache-train\.pkl"):
        mini_imagenet.find(tmp_path)


@pytest.mark.parametrize(
    ("layout", "missing"),
    [
        (as_zips, "miniimagenet/test.zip"),
        (as_tables, "mini-imagenet/val.csv"),
        (as_pickles, "mini-imagenet-cache-train.pkl"),
    ],
)
def test_a_layout_there_in_part_names_what_is_missing(tmp_path, layout, missing):
    layout(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=rf"{Path(missing).name} is missing beside it"):
        mini_imagenet.find(tmp_path)


def test_a_missing_train_archive_is_told_by_its_classes(tmp_path):
    as_zips(tmp_path)
    (tmp_path / "miniimagenet" / "train-0.zip").unlink()
    with pytest.raises(DataError, match="1 of 2 train classes are missing, first n00000005"):
        read(tmp_path)


def test_a_class_with_too_few_images_is_named(tmp_path):
    as_folder(tmp_path)
    (tmp_path / "mini-imagenet" / "images" / "n0000000300000005.jpg").unlink()
    with pytest.raises(DataError, match="1 images of class n00000003, should be 2"):
        read(tmp_path)


def test_a_file_that_a_table_names_and_is_not_there_is_named(tmp_path):
    as_tables(tmp_path)
    (tmp_path / "mini-imagenet" / "images" / "n0000000300000005.jpg").unlink()
    with pytest.raises(DataError, match=r"n0000000300000005\.jpg: No such file"):
        read(tmp_path)


def test_a_table_of_other_columns_is_refused(tmp_path):
    as_tables(tmp_path)
    (tmp_path / "mini-imagenet" / "val.csv").write_text("name,class\n")
    with pytest.raises(DataError, match=r"val\.csv: its columns are \['name', 'class'\]"):
        read(tmp_path)


def test_a_cut_off_image_is_named(tmp_path):
    as_folder(tmp_path)
    (tmp_path / "mini-imagenet" / "images" / "n0000000300000005.jpg").write_bytes(picture(140)[:400])
    with pytest.raises(DataError, match=r"n0000000300000005\.jpg is not a readable image"):
        read(tmp_path)


def test_the_split_has_64_16_and_20_classes_and_no_class_twice():
    assert [len(wnids) for wnids in MINI_IMAGENET.wnids.values()] == [64, 16, 20]
    assert len(set(MINI_IMAGENET.rows())) == 100
    assert all(list(wnids) == sorted(wnids) for wnids in MINI_IMAGENET.wnids.values())


def test_the_real_validation_archive_holds_600_images_of_each_class_of_the_split(real_data):
    """Only this archive is read, and of its images the first of each class: all 60,000 are 1.3 GB."""
    (archive,) = [source for source in mini_imagenet.find(real_data) if source.name == "val.zip"]
    names = sorted(zipfile.ZipFile(archive).namelist())
    by_class = collections.Counter(name[:9] for name in names)
    assert by_class == dict.fromkeys(MINI_IMAGENET.wnids["val"], 600)
    extent = Extent(wnids={"train": (), "val": MINI_IMAGENET.wnids["val"], "test": ()}, images=600)
    first = next(mini_imagenet.classes((archive,), extent))
    assert first.shape == (600, 3, 84, 84)
    assert first.std() > 40, "photographs, not blank"
