"""What becomes of a Ray that doesn't come up. That of one that dies later is for tests/chaos."""

import threading
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def start(monkeypatch):
    """Return a function that runs no trial on a Ray whose start raises `error`, and tells of it."""
    from sweeper import ray_executor

    def run(error):
        tries = []

        def init(**options):
            tries.append(options)
            raise error

        monkeypatch.setattr(ray_executor.ray, "init", init)
        executor = ray_executor.RayExecutor(workers=1, threads=1, gpus=0)
        with pytest.raises(ray_executor.SweepError) as raised:
            executor.run(SimpleNamespace(stopping=threading.Event(), end_all=lambda: None), lambda: None)
        assert raised.value.exit_code == 4
        return len(tries), str(raised.value)

    return run


def test_a_ray_that_dies_as_it_starts_is_started_once_more(start):
    tries, message = start(Exception("The current node timed out during startup."))
    assert tries == 2
    assert message.startswith("Ray died twice; see ray.log")


def test_a_ray_that_can_t_be_started_here_is_not_tried_again(start):
    tries, message = start(OSError("AF_UNIX path length cannot exceed 107 bytes"))
    assert tries == 1
    assert "AF_UNIX path length cannot exceed 107 bytes" in message
    assert "set TMPDIR" in message
