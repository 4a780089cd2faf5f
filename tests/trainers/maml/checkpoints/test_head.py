"""The head of a checkpoint: how far its evaluation is, and nothing from a file that isn't a checkpoint."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from trainers.maml.checkpoints.checkpoint import save
from trainers.maml.checkpoints.head import NOTHING_SCORED, scores_shape
from trainers.maml.train import begun


def saved(path, config, correct):
    save(path, dataclasses.replace(begun(config), correct=correct))
    return path


@pytest.mark.parametrize("shape", [NOTHING_SCORED, (2, 0, 3), (2, 17, 11), (1, 600, 1)])
def test_the_shape_of_the_scores_is_read_as_it_was_saved(tmp_path, tiny, shape):
    assert scores_shape(saved(tmp_path / "x.ckpt", tiny(), np.zeros(shape, np.int64))) == shape


def test_a_run_that_has_not_begun_has_nothing_scored(tiny):
    assert begun(tiny()).correct.shape == NOTHING_SCORED


def archive(*arrays, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content in arrays:
            made.writestr(name, content)
    return buffer.getvalue()


def spoilt_stream():
    """Return an archive whose compressed entry no longer unpacks."""
    content = bytearray(archive(("correct.npy", bytes(range(256)) * 9), compression=zipfile.ZIP_DEFLATED))
    content[45:60] = b"\xff" * 15
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"0" * 64 + b"\n",
        archive(),
        archive(("text.npy", b"x")),
        archive(("correct.npy", b"")),
        archive(("correct.npy", b"\x93NUMPY\x01\x00\xff\xff{")),
        archive(("correct.npy", b"\x93NUMPY\x01\x00\x04\x00{'a'")),
        archive(("correct.npy", b"\x93NUMPY\x03\x00\x04\x00\x00\x00{'a'")),
        spoilt_stream(),
    ],
)
def test_what_is_no_checkpoint_has_no_head(tmp_path, content):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    assert scores_shape(path) is None


@pytest.mark.parametrize("cut", [1, 22, 1000])
def test_a_file_that_is_cut_short_has_no_head_and_neither_has_none(tmp_path, tiny, cut):
    path = saved(tmp_path / "x.ckpt", tiny(), np.zeros((2, 1, 3), np.int64))
    path.write_bytes(path.read_bytes()[:-cut])
    assert scores_shape(path) is None
    assert scores_shape(tmp_path / "absent.ckpt") is None
    assert scores_shape(tmp_path) is None
