"""A program's checkpoint as bytes: the same files give the same bytes, and nothing leads out of the folder."""

import contextlib
import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.program import checkpoint_folder
from trainers.program.checkpoint_folder import GoneError, UnfitError, check, packed, unpack


def fill(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = {"model.pt": b"\x00\x01", "opt/state": b"", "opt/deep/é.txt": b"x" * 5000, f"{'n' * 200}/{'m' * 200}": b"long"}


def test_the_same_files_are_the_same_bytes(tmp_path):
    for name, order in (("a", list(FILES)), ("b", list(reversed(FILES)))):
        fill(tmp_path / name / "7", {key: FILES[key] for key in order})
    (tmp_path / "b" / "7" / "empty").mkdir()
    (tmp_path / "b" / "7" / "model.pt").chmod(0o600)
    (tmp_path / "b" / "8").write_text("another checkpoint")
    os.utime(tmp_path / "b" / "7" / "model.pt", (1, 1))
    content = packed(tmp_path / "a", "7")
    assert packed(tmp_path / "b", "7") == content
    unpack(content, tmp_path / "c")
    assert files_of(tmp_path / "c" / "7") == FILES
    assert packed(tmp_path / "c", "7") == content


def test_a_checkpoint_may_be_one_file(tmp_path):
    (tmp_path / "7.pt").write_bytes(b"123")
    (tmp_path / "8.pt").write_bytes(b"456")
    unpack(packed(tmp_path, "7.pt"), tmp_path / "out")
    assert files_of(tmp_path / "out") == {"7.pt": b"123"}


@given(st.dictionaries(st.sampled_from(["a", "b/a", "b/c/d", "é", "x y"]), st.binary(max_size=2000)))
def test_any_files_come_back(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("files")
    (folder / "in").mkdir()
    fill(folder / "in", files)
    (folder / "out").mkdir()
    unpack(packed(folder, "in"), folder / "out")
    assert files_of(folder / "out" / "in") == files


def test_nothing_is_an_empty_folder(tmp_path):
    unpack(b"", tmp_path)
    assert files_of(tmp_path) == {}


def test_what_is_no_plain_file_is_unfit(tmp_path):
    inside = tmp_path / "7"
    inside.mkdir()
    (inside / "link").symlink_to("/etc/passwd")
    with pytest.raises(UnfitError, match="7/link is no plain file; a checkpoint is a file, or a folder of files"):
        packed(tmp_path, "7")
    with pytest.raises(UnfitError, match="link is no plain file"):
        packed(inside, "link")
    (inside / "link").unlink()
    (inside / "dir").symlink_to(tmp_path)
    with pytest.raises(UnfitError, match="dir is no plain file"):
        packed(tmp_path, "7")
    (inside / "dir").unlink()
    os.mkfifo(inside / "pipe")
    with pytest.raises(UnfitError, match="pipe is no plain file"):
        packed(tmp_path, "7")
    (inside / "pipe").unlink()
    (inside / "a\nb").write_bytes(b"")
    with pytest.raises(UnfitError, match="is no printable text"):
        packed(tmp_path, "7")


def test_a_folder_with_too_much_is_unfit(tmp_path, monkeypatch):
    fill(tmp_path, {"7/a": b"123", "7/b": b"45"})
    monkeypatch.setattr(checkpoint_folder, "MOST_BYTES", 4)
    with pytest.raises(UnfitError, match="7 has more than 10000 files or 0 MiB; keep less in it"):
        packed(tmp_path, "7")
    monkeypatch.setattr(checkpoint_folder, "MOST_FILES", 1)
    with pytest.raises(UnfitError, match="more than 1 files"):
        packed(tmp_path, "7")


def test_a_change_while_it_is_read_is_noticed(tmp_path, monkeypatch):
    fill(tmp_path, {"7/a": b"123", "7/b": b"45"})
    read = checkpoint_folder._content

    def changing(change):
        def content(path, facts):
            if path.name == "b":
                change()
            return read(path, facts)

        monkeypatch.setattr(checkpoint_folder, "_content", content)

    for change, error in (
        (lambda: (tmp_path / "7/a").write_bytes(b"321"), UnfitError),
        (lambda: (tmp_path / "7/b").write_bytes(b"456"), UnfitError),
        (lambda: (tmp_path / "7/c").write_bytes(b""), UnfitError),
        (lambda: (tmp_path / "7/b").unlink(), GoneError),
    ):
        changing(change)
        with pytest.raises(error):
            packed(tmp_path, "7")
    with pytest.raises(GoneError, match="absent is not in the folder, or no more"):
        packed(tmp_path, "absent")


def tar(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "target"
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        tar(("../out", tarfile.REGTYPE, b"x")),
        tar(("a/../../out", tarfile.REGTYPE, b"x")),
        tar(("/tmp/out", tarfile.REGTYPE, b"x")),
        tar((".", tarfile.REGTYPE, b"x")),
        tar(("a\nb", tarfile.REGTYPE, b"x")),
        tar(("link", tarfile.SYMTYPE, b"")),
        tar(("link", tarfile.LNKTYPE, b"")),
        tar(("pipe", tarfile.FIFOTYPE, b"")),
        tar(("device", tarfile.CHRTYPE, b"")),
        tar(("dir", tarfile.DIRTYPE, b"")),
        tar(("sparse", tarfile.GNUTYPE_SPARSE, b"")),
        b"rubbish",
        b"x" * 2000,
        tar(("a", tarfile.REGTYPE, b"x" * 2000))[:1000],
    ],
)
def test_another_archive_is_refused_and_writes_nothing(tmp_path, content):
    with pytest.raises(ValueError):
        check(content)
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError):
        unpack(content, tmp_path / "in")
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize("second", ["a", "a/b", "a/b/c"])
def test_a_file_that_is_in_it_twice_is_refused(tmp_path, second):
    with pytest.raises(ValueError, match="is in it twice, or is a file and a folder"):
        unpack(tar(("a", tarfile.REGTYPE, b"x"), (second, tarfile.REGTYPE, b"y")), tmp_path)


def test_an_archive_of_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_folder, "MOST_BYTES", 4)
    with pytest.raises(ValueError, match="it is too large"):
        check(tar(("a", tarfile.REGTYPE, b"12345")))


@given(st.integers(0, 1023), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_understood(at, change):
    content = bytearray(tar(("a", tarfile.REGTYPE, b"x" * 300)))
    content[at] ^= change
    with contextlib.suppress(ValueError):
        check(bytes(content))
