"""`sweeper run --address`: what a cluster's nodes must have, who may come in, and what becomes of nodes that come."""

import re
import shutil
import subprocess

import pytest

from sweeper.results.fold import fold
from sweeper.results.paths import Results
from tests.chaos.program import sweep_text
from tests.cluster.lab import ROOT
from tests.sweeper.command import start, sweeper
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

WORDS = ("--device", "cpu", "--tracking-uri", "none")


def logs(results):
    """Return the logs of the trials that have begun."""
    return [path.read_text(encoding="utf-8") for path in results.root.glob("trials/*/a*/trial.log")]


def trained_by(results):
    """Return the processes that have trained."""
    return {int(pid) for text in logs(results) for pid in re.findall(r"begun by process (\d+)", text)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def node(cluster):
    """Return a function that adds a node to the cluster for the time of the test."""
    before = list(cluster.nodes)
    yield cluster.add
    for added in [found for found in cluster.nodes if found not in before]:
        added.clear()
        cluster.nodes.remove(added)


@pytest.fixture
def run(cluster, folder):
    """Return a function that runs the tiny sweep on the cluster."""

    def run(*more, **extra):
        shown = {"RAY_AUTH_TOKEN": cluster.token} | extra
        return sweeper("run", "tiny.yaml", "--address", cluster.address, *WORDS, *more, cwd=folder, **shown)

    return run


def test_who_has_no_token_or_another_is_refused(run, cluster, folder):
    for token in ("", "another"):
        ended = run(RAY_AUTH_TOKEN=token, HOME=str(folder))
        assert ended.code == (4 if token else 2), ended.err
        assert "Traceback" not in ended.err
        assert cluster.token not in ended.err
        if token:
            assert f"--address {cluster.address}: that cluster refuses this token; set RAY_AUTH_TOKEN" in ended.err
        else:
            assert "there is no token for that cluster: RAY_AUTH_TOKEN isn't set" in ended.err
    ended = run(RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN="")
    assert ended.code == 4, ended.err
    assert "that cluster refuses this token" in ended.err
    assert not (folder / "results").exists()


def test_where_no_cluster_is_the_run_says_so(folder):
    for address, told in (
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray answers there (Connection refused)"),
        ("ray://127.0.0.1:10001", "Ray's client protocol can't carry a run"),
        ("nowhere", "--address nowhere: not an address of a Ray cluster"),
    ):
        ended = sweeper("run", "tiny.yaml", "--address", address, *WORDS, cwd=folder, RAY_AUTH_TOKEN="0123456789")
        assert ended.code == (4 if address.startswith("127") else 2), ended.err
        assert told in ended.err
        assert "Traceback" not in ended.err
    ended = sweeper("run", "tiny.yaml", "--address", "auto", "--executor", "inline", cwd=folder)
    assert (ended.code, "leave one of them out" in ended.err) == (2, True), ended.err


def test_a_cluster_without_room_is_refused(run):
    ended = run()
    assert ended.code == 4
    assert "none of its 1 living nodes has CPUs for --device cpu; start a node that has them" in ended.err


def test_a_node_unlike_the_driver_is_named_with_all_that_is_wrong_before_anything_starts(run, node, folder, tmp_path):
    other = tmp_path / "other"
    for package in ("sweeper", "trainers"):
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "trainers/maml/adapt.py").open("a") as file:
        file.write("# another commit\n")
    (other / "numpy-1.0.dist-info").mkdir()
    (other / "numpy-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    results = folder / "results"
    results.mkdir()
    hidden = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs tmpfs "{results}" && exec "$@"', "sh"]
    may_hide = subprocess.run([*hidden, "true"], capture_output=True).returncode == 0
    bad = node(1, within=hidden if may_hide else (), PYTHONPATH=str(other))
    bad.wait()
    ended = run()
    assert ended.code == 4, ended.err
    assert f"not every node may train, so nothing was started\n  node {bad.address}" in ended.err
    assert f"the code of sweeper and trainers in {other} is " in ended.err
    assert "numpy is 1.0, the driver's is " in ended.err
    assert "torch is" not in ended.err
    assert not (results / "trials").exists()
    assert not (results / "meetings").exists()
    if not may_hide:
        pytest.skip("a node can't be given a results folder of its own here (unshare -m isn't allowed)")
    assert "the results folder isn't the driver's there" in ended.err


@pytest.mark.cluster
def test_a_node_without_the_project_is_named(run, node, folder):
    (folder / "empty").mkdir()
    (folder / "empty" / "sweeper.py").write_text("raise ImportError('no sweeper here')")
    node(1, PYTHONPATH=str(folder / "empty")).wait()
    ended = run()
    assert ended.code == 4, ended.err
    assert "it can't be examined (" in ended.err
    assert "install this project there with the driver's versions" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.cluster
def test_nodes_that_join_are_used_and_those_unlike_the_driver_are_not(cluster, node, folder):
    (folder / "many.yaml").write_text(sweep_text("many", 4), encoding="utf-8")
    other = folder / "other"
    for package in ("sweeper", "trainers"):
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "trainers/more.py").write_text("")
    node(1).wait()
    words = ("run", "many.yaml", "--address", cluster.address, *WORDS)
    results = Results.at(folder / "results")
    process = start(words, folder, RAY_AUTH_TOKEN=cluster.token)
    wait_until(lambda: logs(results), "the first trial")
    bad = node(2, PYTHONPATH=str(other))
    bad.wait()
    late = node(1)
    wait_until(lambda: trained_by(results) & set(late.processes()), "a trial on the node that joined")
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    assert f"node {late.address} " in err
    assert "joined, with room for 1" in err
    assert f"may not train: the code of sweeper and trainers in {other} is " in err
    ended = [fold(path)["status"] for path in results.root.glob("trials/*/journal.jsonl")]
    assert ended == ["done"] * 8
    assert err.count(" running to ") == 8, "a trial was dealt twice"


@pytest.mark.cluster
def test_a_lost_cluster_ends_the_run_with_what_to_do(cluster, node, folder):
    (folder / "many.yaml").write_text(sweep_text("many", 3), encoding="utf-8")
    node(1).wait()
    results = Results.at(folder / "results")
    process = start(("run", "many.yaml", "--address", cluster.address, *WORDS), folder, RAY_AUTH_TOKEN=cluster.token)
    wait_until(lambda: logs(results), "the first trial")
    cluster.head.kill("gcs_server")
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 4, err
    assert f"the Ray cluster at {cluster.address} is lost: no answer for 1" in err
    assert "the journals are complete" in err and "run the same command" in err
    assert "Traceback" not in err
    assert "running" not in err.splitlines()[-1]
