"""The cache of converted arrays: made once, whole or not at all, whoever asks at the same time."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from trainers.data import converted
from trainers.data.archives import DataError

SHAPE = (3, 2, 1, 4, 4)
ARRAY = np.arange(96, dtype=np.uint8).reshape(SHAPE)
DIGEST = hashlib.sha256(ARRAY.tobytes()).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path) -> Path:
    (tmp_path / "some.zip").write_bytes(b"content")
    return tmp_path / "some.zip"


def convert(archive: Path, digest: str | None = None) -> converted.Converted:
    return converted.convert("some", (archive,), iter(ARRAY), SHAPE, digest)


def never() -> Iterator[np.ndarray]:
    raise AssertionError("converted again")
    yield


def visible(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.name != ".some.lock")


def test_what_is_mapped_is_what_was_given_and_its_name_has_the_digest(cache, archive):
    made = convert(archive)
    np.testing.assert_array_equal(np.load(made.path, mmap_mode="c"), ARRAY)
    assert (made.digest, made.path) == (DIGEST, cache / f"some-{DIGEST[:16]}.npy")
    assert visible(cache) == [f"some-{DIGEST[:16]}.json", f"some-{DIGEST[:16]}.npy"]


def test_the_same_files_are_found_again_and_not_read(cache, archive):
    made = convert(archive)
    assert converted.find("some", (archive,), None) == made
    assert converted.convert("some", (archive,), never(), SHAPE, None) == made


def test_a_file_that_changed_is_not_found(cache, archive):
    convert(archive)
    archive.write_bytes(b"other content")
    assert converted.find("some", (archive,), None) is None


@pytest.mark.parametrize("change", ["replace", "add"])
def test_a_folder_in_which_a_picture_changed_is_not_found(cache, tmp_path, change):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    (tmp_path / "images" / "sub" / "a.jpg").write_bytes(b"one")
    made = convert(tmp_path / "images")
    assert converted.find("some", (tmp_path / "images",), None) == made
    name = "a.jpg" if change == "replace" else "b.jpg"
    (tmp_path / "images" / "sub" / name).write_bytes(b"other")
    assert converted.find("some", (tmp_path / "images",), None) is None


def test_the_same_content_at_another_place_or_time_is_not_converted_again(cache, archive, tmp_path):
    made = convert(archive)
    moved = archive.rename(tmp_path / "moved.zip")
    os.utime(moved, (1, 1))
    assert converted.find("some", (moved,), None) is None
    assert converted.convert("some", (moved,), never(), SHAPE, None).path == made.path
    assert converted.find("some", (moved,), None) is not None


def test_another_digest_than_the_one_required_is_an_error_that_leaves_nothing(cache, archive):
    with pytest.raises(DataError, match=rf"some: the images have digest {DIGEST[:16]}, should be 0000"):
        convert(archive, "0" * 64)
    assert visible(cache) == []


def test_an_array_of_another_digest_than_required_is_replaced(cache, archive):
    convert(archive)
    other = ARRAY[::-1]
    wanted = hashlib.sha256(other.tobytes()).hexdigest()
    assert converted.convert("some", (archive,), iter(other), SHAPE, wanted).digest == wanted


def test_trouble_half_way_leaves_nothing(cache, archive):
    def breaking() -> Iterator[np.ndarray]:
        yield ARRAY[0]
        raise DataError("torn")

    with pytest.raises(DataError, match="torn"):
        converted.convert("some", (archive,), breaking(), SHAPE, None)
    assert visible(cache) == []


def test_a_kill_half_way_does_no_harm(cache, archive):
    program = f"""
import os, sys
from pathlib import Path
import numpy as np
from trainers.data import converted
def rows():
    yield np.zeros({SHAPE[1:]}, np.uint8)
    os._exit(9)
converted.convert("some", (Path(sys.argv[1]),), rows(), {SHAPE}, None)
"""
    assert subprocess.run([sys.executable, "-c", program, str(archive)], check=False).returncode == 9
    assert converted.find("some", (archive,), None) is None
    np.testing.assert_array_equal(np.load(convert(archive).path), ARRAY)
    assert visible(cache) == [f"some-{DIGEST[:16]}.json", f"some-{DIGEST[:16]}.npy"]


@pytest.mark.parametrize("harm", ["shorter array", "no array", "torn sidecar", "other sidecar"])
def test_a_harmed_cache_is_made_again(cache, archive, harm):
    made = convert(archive)
    sidecar = made.path.with_suffix(".json")
    match harm:
        case "shorter array":
            made.path.write_bytes(made.path.read_bytes()[:-1])
        case "no array":
            made.path.unlink()
        case "torn sidecar":
            sidecar.write_text(sidecar.read_text()[:40])
        case "other sidecar":
            sidecar.write_text("{}")
    assert converted.find("some", (archive,), None) is None
    np.testing.assert_array_equal(np.load(convert(archive).path), ARRAY)


def test_who_comes_second_waits_and_uses_the_first_ones_array(cache, archive):
    started, runs = threading.Barrier(4), []

    def ask(number: int) -> converted.Converted:
        def rows() -> Iterator[np.ndarray]:
            runs.append(number)
            yield from ARRAY

        started.wait()
        return converted.convert("some", (archive,), rows(), SHAPE, None)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(ask, range(4)))
    assert len(runs) == 1
    assert made == [made[0]] * 4


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, archive):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"file/cache: Not a directory; name a writable folder .* SWEEPER_CACHE"):
        convert(archive)


def test_the_stored_digest_tells_changed_bytes(cache, archive):
    made = convert(archive)
    assert converted.stored_digest(made) == made.digest
    harmed = bytearray(made.path.read_bytes())
    harmed[-1] ^= 1
    made.path.write_bytes(harmed)
    assert converted.stored_digest(made) != made.digest
