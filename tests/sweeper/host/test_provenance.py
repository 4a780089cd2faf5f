"""The commit in the provenance is that of the code, whatever git has set in the environment."""

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

import pytest

from sweeper.host import provenance

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
AUTHOR = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false")


def repository(folder, message):
    """Create a repository with one file in one commit; return the commit."""
    folder.mkdir(parents=True)
    (folder / "file.py").write_text(message)
    for words in (("init", "-q"), ("add", "."), (*AUTHOR, "commit", "-q", "-m", message), ("rev-parse", "HEAD")):
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Return the folder and the commit of a checkout that stands for this code's."""
    folder = tmp_path / "code"
    sha = repository(folder, "code")
    monkeypatch.setattr(provenance, "__file__", str(folder / "sweeper/host/provenance.py"))
    return folder, sha


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("GIT_DIR",),
        ("GIT_DIR", "GIT_WORK_TREE"),
        ("GIT_WORK_TREE",),
        ("GIT_COMMON_DIR",),
        ("GIT_INDEX_FILE",),
        ("GIT_OBJECT_DIRECTORY",),
        ("GIT_NAMESPACE",),
        ("GIT_CEILING_DIRECTORIES",),
    ],
)
def test_the_variables_of_a_hook_of_another_repository_change_nothing(code, tmp_path, monkeypatch, names):
    folder, sha = code
    other = tmp_path / "other"
    assert repository(other, "other") != sha
    values = {
        "GIT_DIR": other / ".git",
        "GIT_WORK_TREE": other,
        "GIT_COMMON_DIR": other / ".git",
        "GIT_INDEX_FILE": other / ".git/index",
        "GIT_OBJECT_DIRECTORY": other / ".git/objects",
        "GIT_CEILING_DIRECTORIES": folder.parent,
    }
    for name in names:
        monkeypatch.setenv(name, str(values.get(name, "x")))
    assert provenance.commit.__wrapped__() == (sha, False)
    (folder / "file.py").write_text("changed")
    assert provenance.commit.__wrapped__() == (sha, True)


def test_a_folder_inside_another_checkout_has_the_version_and_no_commit(code, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(code[0] / "inside/sweeper/host/provenance.py"))
    (code[0] / "inside").mkdir()
    assert provenance.commit.__wrapped__() == (f"sweeper {version('sweeper')}", False)
    monkeypatch.setattr(provenance, "version", not_installed)
    assert provenance.commit.__wrapped__() == ("unknown", False)


def not_installed(name):
    raise PackageNotFoundError(name)
