"""Storage that fails for a moment interrupts a trial; the same command goes on. The trainer's own error fails it."""

import errno
import os
from pathlib import Path

import pytest

from sweeper.results.fold import fold
from tests.sweeper.played import run

HERE = "--only=inner_steps=1"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step-", "journal"])
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EFBIG])
def test_a_write_that_fails_is_the_environments_fault_and_names_the_file(
    results, specs, write_sweep, monkeypatch, number, kind
):
    real, failed, seen = os.fsync, [], []

    def fails(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        seen.append(kind in name)
        if kind in name and (kind == "step-" or sum(seen) == 2):  # the second line of a journal
            failed.append(name)
            raise OSError(number, os.strerror(number))
        real(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails)
        ended = run(results, write_sweep(), HERE)
    assert failed
    assert ended.exit_code == 4, ended.output
    assert os.strerror(number) in ended.stderr
    assert kind in ended.stderr
    assert "Traceback" not in ended.stderr
    begun = [spec for spec in specs if results.trial(spec.trial_id).journal.exists()]
    assert {fold(results.trial(spec.trial_id).journal)["status"] for spec in begun} <= {"interrupted", "running"}
    again = run(results, write_sweep(), HERE)
    assert again.exit_code == 0, again.output


def test_a_read_of_the_data_or_a_checkpoint_that_fails_is_the_environments_too(
    results, specs, write_sweep, monkeypatch
):
    def stale(*arguments):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/data/strokes.npy")

    with monkeypatch.context() as broken:
        broken.setattr("trainers.data.on_device.load_pixels", stale)
        ended = run(results, write_sweep(), HERE)
    assert ended.exit_code == 4, ended.output
    assert "/data/strokes.npy" in ended.stderr
    assert run(results, write_sweep(), HERE).exit_code == 0


def test_an_error_of_the_trainer_itself_fails_the_trial(results, specs, write_sweep, monkeypatch):
    def broken_trainer(*arguments, **options):
        raise OSError("the trainer is wrong")
        yield

    monkeypatch.setattr("trainers.maml.train.train", broken_trainer)
    ended = run(results, write_sweep(), HERE)
    assert ended.exit_code == 3, ended.output
    assert "the trainer is wrong" in ended.stderr
