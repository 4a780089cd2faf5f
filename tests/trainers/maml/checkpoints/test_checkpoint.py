"""Checkpoints: exact, atomic, checked, and never unpickled."""

import dataclasses
import errno
import hashlib
import io
import pickle
import zipfile

import numpy as np
import pytest

from tests.trainers.small import tiny_config
from trainers.maml.checkpoints.checkpoint import read, save
from trainers.maml.checkpoints.records import records_in
from trainers.maml.train import train
from trainers.sealed_file import seal
from trainers.trainer import CheckpointError


@pytest.fixture(scope="module")
def state(noise):
    *_, chunk = train([tiny_config(outer_steps=1, eval_episodes=2)], noise, engine="loop")
    return chunk.states()[0]


def test_nothing_but_the_file_is_left_and_a_second_save_replaces_it(tmp_path, state):
    path = tmp_path / "step-00000001.ckpt"
    save(path, state)
    save(path, state)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert read(path).records == state.records


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: c[:100], lambda c: b"", lambda c: c[:200] + b"x" + c[201:]]
)
def test_a_damaged_file_is_refused_by_name(tmp_path, state, damage):
    path = tmp_path / "x.ckpt"
    save(path, state)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"x\.ckpt"):
        read(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.ckpt: No such file"):
        read(tmp_path / "absent.ckpt")


def test_a_pickle_inside_an_intact_file_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    buffer = io.BytesIO()
    np.savez(buffer, text=np.array([Trap()], dtype=object), allow_pickle=True)
    for payload in (buffer.getvalue(), pickle.dumps(Trap())):
        path = tmp_path / "trap.ckpt"
        path.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
        with pytest.raises(CheckpointError, match=r"trap\.ckpt: not a checkpoint"):
            read(path)


@pytest.mark.parametrize("header", [b"\xff\xff{", b"\x04\x00{'a'", b"\x02\x00((", b""])
def test_an_intact_file_whose_arrays_have_no_header_is_refused_by_name(tmp_path, header):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("correct.npy", "text.npy"):
            archive.writestr(name, b"\x93NUMPY\x01\x00" + header)
    path = tmp_path / "odd.ckpt"
    path.write_bytes(seal(buffer.getvalue()))
    with pytest.raises(CheckpointError, match=r"odd\.ckpt: not a checkpoint"):
        read(path)
    with pytest.raises(ValueError, match="not a checkpoint"):
        records_in(buffer.getvalue())


def test_an_intact_file_that_would_unpack_to_more_than_it_holds_is_refused_before_it_is_unpacked(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, correct=np.zeros(10_000_000), text=np.zeros(2, np.uint8))
    payload = buffer.getvalue()
    assert len(payload) < 100_000
    path = tmp_path / "bomb.ckpt"
    path.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    with pytest.raises(CheckpointError, match=r"bomb\.ckpt: not a checkpoint \(it is compressed"):
        read(path)


def test_a_save_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, state, monkeypatch):
    path = tmp_path / "x.ckpt"
    save(path, state)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(path, dataclasses.replace(state, step=7))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_intact_file_of_something_else_is_not_a_checkpoint(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, other=np.zeros(3))
    path = tmp_path / "other.ckpt"
    path.write_bytes(hashlib.sha256(buffer.getvalue()).hexdigest().encode() + b"\n" + buffer.getvalue())
    with pytest.raises(CheckpointError, match=r"other\.ckpt: not a checkpoint"):
        read(path)


def test_a_disk_that_fails_to_read_is_no_damage(tmp_path, state, monkeypatch):
    path = tmp_path / "x.ckpt"
    save(path, state)

    def stale(self):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(type(path), "read_bytes", stale)
    with pytest.raises(OSError, match=r"Stale file handle: '.*x\.ckpt'"):
        read(path)
