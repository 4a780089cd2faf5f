"""The door to data: where it looks, what it returns, what it costs the second time, and what it says of trouble."""

import hashlib
import subprocess
import sys
import types
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from trainers.data import datasets, strokes
from trainers.data.catalog import CATALOG
from trainers.data.datasets import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SWEEPER_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module", autouse=True)
def drawn_once(characters) -> Iterator[None]:
    """Let `strokes.make` return the characters that are drawn already: to draw them takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strokes, "make", {datasets.STROKES_SEED: characters}.__getitem__)
        yield


@pytest.fixture(scope="module")
def strokes_cache(tmp_path_factory, drawn_once) -> Path:
    """Return a cache in which strokes is already converted."""
    folder = tmp_path_factory.mktemp("strokes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(folder))
        datasets.prepare("strokes", folder)
    return folder


def test_the_data_root_is_what_is_given_then_sweeper_data_then_the_users_cache(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert datasets.data_root(None) == Path("/xdg/sweeper/data")
    monkeypatch.setenv("SWEEPER_DATA", "/env")
    assert datasets.data_root(None) == Path("/env")
    assert datasets.data_root(Path("/given")) == Path("/given")


def test_the_cache_is_sweeper_cache_then_the_users(monkeypatch, cache):
    assert datasets.cache_folder() == cache
    monkeypatch.delenv("SWEEPER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert datasets.cache_folder() == Path("/xdg/sweeper")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert datasets.cache_folder() == Path("/home/me/.cache/sweeper")


def test_strokes_needs_no_data_root_and_is_what_make_makes(tmp_path):
    prepared = datasets.prepare("strokes", tmp_path / "nowhere")
    assert prepared.digest == CATALOG["strokes"].digest
    np.testing.assert_array_equal(datasets.load(prepared), strokes.make(datasets.STROKES_SEED))
    assert not (tmp_path / "nowhere").exists()


def test_preparing_again_neither_draws_nor_reads_the_array(strokes_cache, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(strokes_cache))
    first = datasets.prepare("strokes", strokes_cache)

    def costly(*given, **named):
        raise AssertionError("the second time costs what the first did")

    monkeypatch.setattr(strokes, "make", costly)
    monkeypatch.setattr(np, "load", costly)
    monkeypatch.setattr(hashlib, "sha256", costly)
    assert datasets.prepare("strokes", strokes_cache) == first


def test_writing_to_the_loaded_array_changes_no_file(strokes_cache, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(strokes_cache))
    prepared = datasets.prepare("strokes", strokes_cache)
    before = prepared.path.read_bytes()
    datasets.load(prepared)[:] = 7
    assert prepared.path.read_bytes() == before


def test_an_array_that_is_gone_is_named(tmp_path):
    gone = datasets.Prepared(name="strokes", path=tmp_path / "gone.npy", digest="0")
    with pytest.raises(DataError, match=r"gone\.npy: can't be mapped"):
        datasets.load(gone)


@pytest.mark.parametrize("name", ["omniglot", "mini_imagenet"])
def test_missing_data_is_an_error_and_no_other_data_takes_its_place(name, tmp_path, cache):
    with pytest.raises(DataError, match=rf"{name}: no.* {tmp_path} "):
        datasets.prepare(name, tmp_path)
    assert not cache.exists()


def test_verify_of_missing_data_says_so(tmp_path):
    (finding,) = datasets.verify("omniglot", tmp_path)
    assert finding.startswith("omniglot: no images_background.zip")


def test_verify_finds_a_changed_byte_in_the_converted_array(tmp_path):
    prepared = datasets.prepare("strokes", tmp_path)
    assert datasets.verify("strokes", tmp_path) == []
    harmed = bytearray(prepared.path.read_bytes())
    harmed[-1] ^= 1
    prepared.path.write_bytes(harmed)
    (finding,) = datasets.verify("strokes", tmp_path)
    assert finding.startswith(f"{prepared.path}: its bytes have changed")


def test_describe_says_what_is_there_and_what_is_synthetic(strokes_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEPER_CACHE", str(strokes_cache))
    made, missing = datasets.describe("strokes", tmp_path), datasets.describe("omniglot", tmp_path)
    assert (made.synthetic, made.trouble, made.converted is not None) == (True, "", True)
    assert made.splits == {"train": 350, "val": 50, "test": 100}
    assert (missing.synthetic, missing.sources, missing.converted) == (False, (), None)
    assert "images_background.zip" in missing.trouble


def test_mini_imagenet_is_never_downloaded(tmp_path):
    with pytest.raises(DataError, match=r"forbid redistribution.*train\.zip.*mini-imagenet-cache-train\.pkl"):
        datasets.download("mini_imagenet", tmp_path)


def _torchvision(monkeypatch, omniglot: type) -> None:
    module = types.ModuleType("torchvision.datasets")
    module.Omniglot = omniglot
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)


def test_no_network_is_one_sentence_and_leaves_no_half_download(tmp_path, monkeypatch):
    class Unreachable:
        def __init__(self, root: str, *, background: bool, download: bool) -> None:
            Path(root, "half.zip").write_bytes(b"half")
            raise urllib.error.URLError("no route")

    _torchvision(monkeypatch, Unreachable)
    with pytest.raises(
        DataError, match=rf"no route.*put images_background\.zip .* into {tmp_path}/omniglot-py by hand"
    ):
        datasets.download("omniglot", tmp_path)
    assert list((tmp_path / "omniglot-py").iterdir()) == []


def test_a_download_puts_both_archives_where_they_are_found(tmp_path, monkeypatch):
    class Reachable:
        def __init__(self, root: str, *, background: bool, download: bool) -> None:
            folder = Path(root, "omniglot-py")
            folder.mkdir(exist_ok=True)
            (folder / f"images_{'background' if background else 'evaluation'}.zip").write_bytes(b"zip")

    _torchvision(monkeypatch, Reachable)
    datasets.download("omniglot", tmp_path)
    sources = datasets.describe("omniglot", tmp_path).sources
    assert sources == tuple(tmp_path / "omniglot-py" / f"images_{half}.zip" for half in ("background", "evaluation"))
    assert sorted(tmp_path.rglob("*.zip")) == sorted(sources)


def test_preparing_loads_no_torch(strokes_cache, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(strokes_cache))
    program = (
        "import sys; from pathlib import Path; from trainers.data import datasets; "
        "datasets.load(datasets.prepare('strokes', Path('x'))); "
        "sys.exit(' '.join({'torch', 'torchvision', 'PIL'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
