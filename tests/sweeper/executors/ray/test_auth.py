"""Whose token Ray shows, and that one of our own is fresh for each run."""

import os
import subprocess
import sys

import pytest

from sweeper.errors import SweepError
from sweeper.executors.ray import auth as ray_auth


@pytest.fixture
def bare(monkeypatch, tmp_path):
    for name in (ray_auth.MODE, ray_auth.TOKEN, ray_auth.TOKEN_FILE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def test_a_ray_of_this_runs_own_has_a_fresh_token_whatever_the_user_has_set(bare):
    program = (
        "import os; from sweeper.executors.ray.auth import use_own; use_own(); one = dict(os.environ); use_own()\n"
        "assert one == dict(os.environ)\n"
        "print(one['RAY_AUTH_MODE'], one['RAY_AUTH_TOKEN'], 'RAY_AUTH_TOKEN_PATH' in one)"
    )
    bare.setenv(ray_auth.MODE, "disabled")
    bare.setenv(ray_auth.TOKEN, "the user's")
    bare.setenv(ray_auth.TOKEN_FILE, "/the/users")
    told = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout for _ in range(2)]
    modes, tokens, files = zip(*(line.split() for line in told), strict=True)
    assert modes == ("token", "token") and files == ("False", "False")
    assert len(set(tokens)) == 2 and min(map(len, tokens)) == 64


def test_a_token_in_the_environment_a_named_file_or_the_usual_one_is_shown(bare, tmp_path):

    bare.setenv(ray_auth.TOKEN, "theirs")
    ray_auth.use_theirs("head:6379")
    assert (os.environ[ray_auth.MODE], os.environ[ray_auth.TOKEN]) == ("token", "theirs")
    bare.delenv(ray_auth.TOKEN)
    with pytest.raises(SweepError, match=r"there is no token for that cluster.*RAY_AUTH_MODE=disabled"):
        ray_auth.use_theirs("head:6379")
    (tmp_path / "named").write_text("theirs")
    bare.setenv(ray_auth.TOKEN_FILE, str(tmp_path / "named"))
    ray_auth.use_theirs("head:6379")
    bare.delenv(ray_auth.TOKEN_FILE)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("theirs")
    ray_auth.use_theirs("head:6379")


def test_a_user_may_say_that_a_cluster_wants_none(bare):

    bare.setenv(ray_auth.MODE, "disabled")
    ray_auth.use_theirs("head:6379")
    assert os.environ[ray_auth.MODE] == "disabled"
