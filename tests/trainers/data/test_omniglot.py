"""Omniglot's reader: order, counts, pixels, and the error of every kind of broken copy."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.data import datasets, omniglot
from trainers.data.archives import DataError
from trainers.data.catalog import CATALOG
from trainers.data.omniglot import HALVES, Extent

SMALL = Extent(alphabets=(2, 1), characters=(3, 1), drawings=2, side=105)
CHARACTERS = {HALVES[0]: ["Zeta/character01", "Alpha/character02", "Alpha/character01"], HALVES[1]: ["Mid/character01"]}


def drawing(column: int) -> bytes:
    """Return a 1-bit PNG, white with one black bar that starts at `column`."""
    pixels = np.ones((105, 105), dtype=bool)
    pixels[:, column : column + 12] = False
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def members(half: str) -> dict[str, bytes]:
    """Return the files of a half; the bar of each drawing tells character and drawing apart."""
    return {
        f"{half}/{character}/{place:04d}_{number:02d}.png": drawing(20 * place + 5 * number)
        for place, character in enumerate(CHARACTERS[half], start=3 * HALVES.index(half))
        for number in (2, 1)
    }


def packed(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.fixture
def root(tmp_path) -> Path:
    for half in HALVES:
        packed(tmp_path / "omniglot" / f"{half}.zip", members(half))
    return tmp_path


def read(root: Path) -> np.ndarray:
    return np.stack(list(omniglot.classes(omniglot.find(root), SMALL)))


def first_dark_column(image: np.ndarray) -> int:
    return int((image[14] < 128).argmax())


def test_classes_are_sorted_by_alphabet_and_character_over_both_halves(root):
    # Bars start at 20 x place in the archives as written: Zeta 0, Alpha/02 20, Alpha/01 40, and Mid of the second 60.
    starts = [[first_dark_column(image[0]) * 105 / 28 for image in character] for character in read(root)]
    np.testing.assert_allclose(starts, [[45, 50], [25, 30], [65, 70], [5, 10]], atol=4)


def test_paper_stays_255_and_ink_0_in_28_pixels(root):
    images = read(root)
    assert images.shape == (4, 2, 1, 28, 28)
    assert images.dtype == np.uint8
    assert images.min() == 0
    assert np.median(images) == 255


@pytest.mark.parametrize("folder", ["", "omniglot", "omniglot-py"])
def test_archives_are_found_in_each_folder_they_may_lie_in(tmp_path, folder):
    for half in HALVES:
        packed(tmp_path / folder / f"{half}.zip", members(half))
    assert omniglot.find(tmp_path) == tuple(tmp_path / folder / f"{half}.zip" for half in HALVES)


def test_unpacked_folders_give_the_same_array_as_the_archives(root, tmp_path):
    for half in HALVES:
        with zipfile.ZipFile(root / "omniglot" / f"{half}.zip") as archive:
            archive.extractall(tmp_path / "unpacked" / "omniglot-py")
    np.testing.assert_array_equal(read(tmp_path / "unpacked"), read(root))


def test_nothing_there_names_the_places_looked_at(tmp_path):
    with pytest.raises(DataError, match=r"images_background\.zip .* omniglot-py .* `sweeper data get omniglot`"):
        omniglot.find(tmp_path)


def test_one_archive_alone_names_the_other(root):
    (root / "omniglot" / "images_evaluation.zip").unlink()
    with pytest.raises(DataError, match=r"images_background\.zip: images_evaluation\.zip is missing beside it"):
        omniglot.find(root)


def test_a_truncated_archive_is_named(root):
    archive = root / "omniglot" / "images_evaluation.zip"
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"images_evaluation\.zip: not a whole zip archive"):
        read(root)


def test_a_flipped_byte_in_a_member_names_the_member(root):
    archive = root / "omniglot" / "images_background.zip"
    whole = bytearray(archive.read_bytes())
    place = whole.index(b"IDAT") + 6
    whole[place] ^= 0xFF
    archive.write_bytes(whole)
    with pytest.raises(DataError, match=r"images_background\.zip: member .*0000_02\.png can't be read .*CRC"):
        read(root)


def test_a_character_without_one_drawing_is_named(root):
    files = members(HALVES[0])
    del files["images_background/Alpha/character02/0001_01.png"]
    packed(root / "omniglot" / "images_background.zip", files)
    with pytest.raises(DataError, match=r"1 drawings of Alpha/character02, should be 2"):
        read(root)


def test_a_missing_character_is_told_by_the_counts(root):
    files = {name: content for name, content in members(HALVES[0]).items() if "Zeta" not in name}
    packed(root / "omniglot" / "images_background.zip", files)
    with pytest.raises(DataError, match=r"1 alphabets with 2 characters, should be 2 with 3"):
        read(root)


@pytest.mark.parametrize("image", [Image.new("1", (28, 28)), Image.new("L", (105, 105))], ids=["size", "mode"])
def test_an_image_of_another_kind_is_refused(root, image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    files = members(HALVES[1]) | {"images_evaluation/Mid/character01/0003_01.png": buffer.getvalue()}
    packed(root / "omniglot" / "images_evaluation.zip", files)
    with pytest.raises(DataError, match=r"0003_01\.png is .* not 1-bit 105"):
        read(root)


def test_bytes_that_are_no_image_are_refused(root):
    files = members(HALVES[1]) | {"images_evaluation/Mid/character01/0003_01.png": b"no image"}
    packed(root / "omniglot" / "images_evaluation.zip", files)
    with pytest.raises(DataError, match=r"0003_01\.png is not a readable image"):
        read(root)


@pytest.mark.slow
def test_the_real_set_has_the_digest_of_the_catalogue(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    prepared = datasets.prepare("omniglot", real_data)
    images = datasets.load(prepared)
    facts = CATALOG["omniglot"]
    assert prepared.digest == facts.digest
    assert images.shape == (facts.classes, facts.images_per_class, *facts.image_shape)
