"""Where there is no network and no MLflow, everything but the tracking store works; the store is filled afterwards."""

import json
import os
from pathlib import Path

import pytest

from sweeper.tracking.address import default_uri
from tests.sweeper.command import PATIENT, sweeper
from tests.sweeper.tiny import TINY
from tests.sweeper.tracking.test_tracking_faults import LOCAL, journalled, live_cells, stored

pytestmark = pytest.mark.slow

ISOLATED = '''
import socket
import sys


class NotInstalled:
    """Finds no MLflow, as on a machine that has none."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("mlflow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def unreachable(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError(101, "Network is unreachable")
    return connect(self, address)


connect = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = unreachable
sys.meta_path.insert(0, NotInstalled())
'''


@pytest.fixture
def isolated(tmp_path: Path) -> dict[str, str]:
    """Variables under which Python finds no MLflow and connects to nobody."""
    folder = tmp_path / "isolation"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(ISOLATED)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def test_a_node_without_mlflow_or_network_plans_trains_and_exports_and_its_journals_fill_any_store_later(
    tmp_path: Path, isolated: dict[str, str], server: int
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1").replace("name: tiny", "name: offline"))
    none = ("--tracking-uri", "none")
    assert (
        json.loads(sweeper("plan", "tiny.yaml", "--json", cwd=here, fresh=True, **isolated).out)["trials"][0]["state"]
        == "new"
    )
    ended = sweeper("run", "tiny.yaml", *LOCAL, *none, cwd=here, fresh=True, **isolated)
    assert ended.code == 0 and "2 planned: 2 done" in ended.err, ended.err
    assert json.loads(sweeper("status", "tiny.yaml", "--json", cwd=here, fresh=True, **isolated).out)["done"] == 2
    exported = sweeper("export", "tiny.yaml", "--out", "all.zip", cwd=here, fresh=True, **isolated)
    assert exported.code == 0, exported.err
    early = sweeper("sync", "tiny.yaml", cwd=here, fresh=True, **isolated)
    assert early.code == 4
    assert "MLflow can't be loaded" in early.err and "Traceback" not in early.err
    assert not (here / "results" / "mlflow.db").exists()
    for uri in (default_uri(here / "results"), f"http://127.0.0.1:{server}"):
        for _ in range(2):
            sent = sweeper("sync", "tiny.yaml", "--tracking-uri", uri, cwd=here)
            assert sent.code == 0, sent.err
            assert stored(uri, "offline") == journalled(here / "results")
            assert live_cells(uri, "offline") == 2


def test_a_run_that_wants_a_store_but_finds_no_mlflow_trains_and_says_so(
    tmp_path: Path, isolated: dict[str, str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    ended = sweeper("run", "tiny.yaml", *LOCAL, cwd=tmp_path, program=PATIENT, fresh=True, **isolated)
    assert ended.code == 0, ended.err
    assert "2 planned: 2 done" in ended.err
    assert "2 trials are not yet in sqlite:///" in ended.err
    assert "Traceback" not in ended.err
