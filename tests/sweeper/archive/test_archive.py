"""An archive carries a sweep's results whole, to any folder, any number of times; a forged one writes nothing."""

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from contextlib import chdir, nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.archive import format as form
from sweeper.archive.export import export
from sweeper.archive.format import Archive, ArchiveError, sha256
from sweeper.archive.merge import merge
from sweeper.cli import main
from sweeper.dealing.dealt_trial import Worker
from sweeper.errors import SweepError
from sweeper.host.provenance import circumstances
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal import Journal
from sweeper.results.locks import Lock
from sweeper.results.paths import CHECKPOINT_SUFFIX, Results, ResultsError, TrialPaths
from sweeper.sweepfile.sweep import load
from sweeper.worker.work import Work
from tests.sweeper.command import environment, sweeper
from tests.sweeper.played import run
from tests.sweeper.running.test_run import final_bytes, measured
from tests.sweeper.tiny import TINY, write_tiny
from trainers.maml.checkpoints.checkpoint import read as read_checkpoint
from trainers.sealed_file import unseal
from trainers.trainer import CheckpointError

PASSWORD = "hunter2-is-secret"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train the tiny sweep once, inline and without a store, under an environment with a secret in it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    secret = {"MLFLOW_TRACKING_URI": f"http://me:{PASSWORD}@127.0.0.1:9", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    with chdir(folder), pytest.MonkeyPatch.context() as steady:
        steady.setattr("sweeper.worker.work.CHECKPOINT_EVERY_S", float("inf"))
        words = ["run", "tiny.yaml", "--executor", "inline", "--tracking-uri", "none"]
        ended = CliRunner().invoke(main, words, env=secret)
        assert ended.exit_code == 0, ended.stderr
        exported = CliRunner().invoke(main, ["export", "tiny.yaml"], env=secret)
    assert exported.exit_code == 0, exported.stderr
    assert exported.stdout == "tiny.zip\n"
    return folder


@pytest.fixture
def exported(trained) -> Path:
    return trained / "tiny.zip"


def snapshot(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, but for lock files, which name their holder."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def trials(root: Path) -> dict[str, bytes]:
    """Return what an archive carries: journals and checkpoints."""
    carried = ("/journal.jsonl", CHECKPOINT_SUFFIX)
    return {name: content for name, content in snapshot(root).items() if name.endswith(carried)}


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def forge(path: Path, content: dict[str, bytes], *, manifest: dict | None = None, listed: bool = True) -> Path:
    """Write an archive of `content`, with a manifest that agrees with it unless `listed` is False."""
    facts = json.loads(content["manifest.json"]) | (manifest or {})
    rest = {name: data for name, data in content.items() if name != "manifest.json"}
    if listed:
        facts["members"] = [{"name": n, "size": len(d), "sha256": sha256(d)} for n, d in rest.items()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("manifest.json", json.dumps(facts))
        for name, data in rest.items():
            made.writestr(name, data)
    return path


@pytest.mark.slow
def test_an_export_has_every_journal_and_last_checkpoint_and_changes_nothing(trained, exported, tmp_path):
    before = snapshot(trained / "results")
    sweep = load(trained / "tiny.yaml")
    done = export(sweep, None, expand(sweep), Results.at(trained / "results"), tmp_path / "again.zip")
    assert (done.trials, done.checkpoints, done.running) == (4, 4, ())
    assert snapshot(trained / "results") == before
    assert (tmp_path / "again.zip").read_bytes() == exported.read_bytes()
    with zipfile.ZipFile(exported) as opened:
        assert {entry.date_time for entry in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    content = entries(exported)
    assert next(iter(content)) == "manifest.json"
    assert {name: content[name] for name in content if name != "manifest.json"} == trials(trained / "results")
    facts = json.loads(content["manifest.json"])
    assert (facts["schema_version"], facts["sweep"], facts["profile"]) == (1, "tiny", None)
    assert facts["sweep_text"] == TINY
    assert facts["digests"] == Results.at(trained / "results").digests()
    assert facts["versions"]["torch"] == version("torch")


def test_no_password_gets_into_an_archive(exported):
    assert PASSWORD.encode() not in b"".join(entries(exported).values()) + exported.read_bytes()


@pytest.mark.slow
def test_after_an_import_elsewhere_every_trial_is_done_and_tracked(exported, trained, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    imported = sweeper("import", exported, cwd=tmp_path)
    assert (imported.code, imported.out) == (0, ""), imported.err
    assert imported.err == "tiny: 4 added\n"
    assert trials(tmp_path / "results") == trials(trained / "results")
    assert Results.at(tmp_path / "results").digests() == Results.at(trained / "results").digests()
    status = json.loads(sweeper("status", "tiny.yaml", "--json", cwd=tmp_path).out)
    assert (status["planned"], status["done"]) == (4, 4)
    before = trials(tmp_path / "results")
    again = sweeper("run", "tiny.yaml", "--executor", "inline", cwd=tmp_path)
    assert (again.code, again.out) == (0, "")
    assert "0 to run" in again.err
    assert trials(tmp_path / "results") == before
    synced = sweeper("sync", "tiny.yaml", "--tracking-uri", "sqlite:///store.db", cwd=tmp_path)
    assert synced.code == 0, synced.err
    assert "4 trials in tiny" in synced.err
    report = sweeper("report", "tiny.yaml", "--tracking-uri", "sqlite:///store.db", "--out", "out", cwd=tmp_path)
    assert report.code == 0, report.err
    assert (tmp_path / "out" / "table_1.md").is_file()


def test_a_part_of_a_sweep_can_be_exported_and_imported(trained, tmp_path):
    words = ["export", str(trained / "tiny.yaml"), "--results", str(trained / "results")]
    out = ["--out", str(tmp_path / "part.zip")]
    exported = CliRunner().invoke(main, [*words, *out, "--only", "inner_steps=2"])
    assert exported.exit_code == 0, exported.stderr
    assert exported.stderr.startswith("2 of 2 trials, 2 checkpoints, ")
    imported = CliRunner().invoke(main, ["import", str(tmp_path / "part.zip"), "--results", str(tmp_path / "results")])
    assert imported.exit_code == 0, imported.stderr
    wanted = {spec.trial_id for spec in expand(load(trained / "tiny.yaml")) if spec.config.inner_steps == 2}
    assert {path.name for path in (tmp_path / "results" / "trials").iterdir()} == wanted
    refused = CliRunner().invoke(main, [*words, *out, "--force", "--only", "inner_steps=9"])
    assert (refused.exit_code, "--only inner_steps=9: no trial" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_an_imported_trial_trains_on_to_a_longer_target_as_it_would_at_home(exported, trained, tmp_path):
    longer = TINY.replace("outer_steps: 4", "outer_steps: 6")
    checkpoints = []
    for name in ("home", "away"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tiny.yaml").write_text(longer)
        if name == "home":
            (folder / "results").symlink_to(_copy(trained / "results", tmp_path / "copied"))
        else:
            assert sweeper("import", exported, cwd=folder).code == 0
        ended = sweeper("run", "tiny.yaml", "--executor", "inline", "--tracking-uri", "none", cwd=folder)
        assert ended.code == 0, ended.err
        checkpoints.append({n: c for n, c in trials(folder / "results").items() if n.endswith("a2/step-00000006.ckpt")})
    assert len(checkpoints[0]) == 4
    assert checkpoints[0] == checkpoints[1]


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def test_importing_again_changes_nothing(exported, tmp_path):
    results = Results.at(tmp_path / "results")
    with Archive(exported) as opened:
        assert {outcome.taken for outcome in merge(opened, results).values()} == {"added"}
        before = snapshot(results.root)
        assert {outcome.taken for outcome in merge(opened, results).values()} == {"unchanged"}
    assert snapshot(results.root) == before


@pytest.fixture
def imported(exported, tmp_path) -> Results:
    results = Results.at(tmp_path / "results")
    with Archive(exported) as opened:
        merge(opened, results)
    return results


def some_trial(results: Results):
    return results.trial(sorted(path.name for path in (results.root / "trials").iterdir())[0])


@pytest.mark.parametrize("torn", [b"", b'{"kind":"record"' + b" " * 9999], ids=["whole", "torn"])
def test_a_journal_that_is_the_beginning_of_the_archives_goes_on_to_its_end(exported, imported, torn):
    paths = some_trial(imported)
    whole = snapshot(imported.root)
    lines = paths.journal.read_bytes().splitlines(keepends=True)
    paths.journal.write_bytes(b"".join(lines[:3]) + torn)
    paths.checkpoints(99)[0].unlink()
    with Archive(exported) as opened:
        outcomes = merge(opened, imported)
    assert outcomes[paths.folder.name].taken == "updated"
    assert sorted({outcome.taken for outcome in outcomes.values()}) == ["unchanged", "updated"]
    assert snapshot(imported.root) == whole


def test_a_journal_that_is_further_than_the_archives_is_kept(exported, imported):
    paths = some_trial(imported)
    journal = Journal(paths.journal)
    journal.end(1, "done", step=4)
    before = snapshot(imported.root)
    with Archive(exported) as opened:
        assert merge(opened, imported)[paths.folder.name].taken == "kept"
    assert snapshot(imported.root) == before


def test_a_lone_checkpoint_or_lock_is_no_journal_so_the_trial_is_added(exported, imported):
    paths = some_trial(imported)
    whole = snapshot(imported.root)
    paths.journal.unlink()
    paths.checkpoints(99)[0].write_bytes(b"damaged")
    with Archive(exported) as opened:
        assert merge(opened, imported)[paths.folder.name].taken == "added"
    assert snapshot(imported.root) == whole


def test_diverging_journals_are_refused_and_named_and_the_others_imported(exported, imported, tmp_path):
    paths = some_trial(imported)
    lines = paths.journal.read_bytes().splitlines(keepends=True)
    paths.journal.write_bytes(b"".join([*lines[:2], lines[-1]]))
    _, other = sorted((imported.root / "trials").iterdir())[:2]
    imported.trial(other.name).journal.unlink()
    result = CliRunner().invoke(main, ["import", str(exported), "--results", str(imported.root)])
    assert result.exit_code == 3
    assert f"{paths.folder.name}: not imported, its journal" in result.stderr
    assert paths.journal.read_bytes() == b"".join([*lines[:2], lines[-1]])
    assert fold(imported.trial(other.name).journal)["status"] == "done"


def test_a_trial_that_a_living_run_holds_is_skipped_and_named(exported, imported):
    paths = some_trial(imported)
    paths.journal.write_bytes(paths.journal.read_bytes().splitlines(keepends=True)[0])
    before = trials(imported.root)
    lock = Lock(paths)
    assert lock.take()
    try:
        result = CliRunner().invoke(main, ["import", str(exported), "--results", str(imported.root)])
    finally:
        lock.release()
    assert result.exit_code == 3
    assert f"{paths.folder.name}: not imported, held by process {os.getpid()}" in result.stderr
    assert trials(imported.root) == before


def test_what_a_killed_import_left_goes_and_two_at_once_do_not_mix(exported, imported):
    left = imported.root / ".import" / "new" / "trial"
    left.mkdir(parents=True)
    whole = trials(imported.root)
    with Archive(exported) as opened:
        merge(opened, imported)
        assert not left.exists()
        other = Lock(TrialPaths(imported.root / ".import"))
        assert other.take()
        with pytest.raises(SweepError, match="another import into it is under way"):
            merge(opened, imported)
        other.release()
    assert trials(imported.root) == whole


def test_trials_of_another_copy_of_the_data_are_refused_before_anything_is_written(exported, tmp_path):
    results = Results.at(tmp_path / "results")
    results.ensure_writable()
    results.note_digests({"strokes": "ab" * 32})
    before = snapshot(results.root)
    with Archive(exported) as opened, pytest.raises(SweepError, match="name another folder"):
        merge(opened, results)
    assert snapshot(results.root) == before


def test_an_export_beside_a_living_run_takes_whole_lines_and_says_who_runs(trained, tmp_path):
    results = Results.at(_copy(trained / "results", tmp_path / "results"))
    sweep = load(trained / "tiny.yaml")
    paths = some_trial(results)
    whole = b"".join(paths.journal.read_bytes().splitlines(keepends=True)[:3])
    paths.journal.write_bytes(whole + b'{"kind":"record","att')
    before = snapshot(results.root)
    lock = Lock(paths)
    assert lock.take()
    try:
        ask = ["export", str(sweep.path), "--results", str(results.root), "--out", str(tmp_path / "out.zip")]
        done = CliRunner().invoke(main, ask)
    finally:
        lock.release()
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'out.zip'}\n")
    assert f"{paths.folder.name}: still running" in done.stderr
    assert done.stderr.count("still running") == 1
    assert snapshot(results.root) == before
    assert entries(tmp_path / "out.zip")[f"trials/{paths.folder.name}/journal.jsonl"] == whole


def test_a_running_trials_checkpoint_may_go_and_its_journal_grow_during_the_export(trained, tmp_path, monkeypatch):
    results = Results.at(_copy(trained / "results", tmp_path / "results"))
    sweep = load(trained / "tiny.yaml")
    paths = some_trial(results)
    checkpoint, journal = paths.checkpoints(99)[0], paths.journal.read_bytes()
    content = checkpoint.read_bytes()
    lock = Lock(paths)
    assert lock.take()
    facts = circumstances()

    def meanwhile() -> dict:
        checkpoint.unlink()
        Journal(paths.journal).end(1, "done", step=4)
        return facts

    monkeypatch.setattr("sweeper.archive.export.circumstances", meanwhile)
    try:
        export(sweep, None, expand(sweep), results, tmp_path / "out.zip")
    finally:
        lock.release()
    found = entries(tmp_path / "out.zip")
    assert found[checkpoint.relative_to(results.root).as_posix()] == content
    assert found[paths.journal.relative_to(results.root).as_posix()] == journal


@pytest.mark.slow
def test_an_archive_of_a_moment_within_the_last_pass_goes_on_to_the_same_records_and_bits(tmp_path, monkeypatch):
    """Its checkpoint has the episodes scored until then, under the name of the one that has them all."""
    path = write_tiny(tmp_path, "  eval_episodes: 8", "  inner_steps: [1]", "seeds: 1")
    sweep, archive = load(path), tmp_path / "within.zip"
    (spec,) = expand(sweep)
    here, there = Results.at(tmp_path / "here"), Results.at(tmp_path / "there")
    save = Work._save

    def save_and_export(work: Work, chunk: Any) -> None:
        save(work, chunk)
        (state,) = chunk.states()
        if state.step == spec.target and 0 < state.correct.shape[1] < 8 and not archive.exists():
            assert export(sweep, None, [spec], here, archive).running == (spec.trial_id,)

    with monkeypatch.context() as patched:
        patched.setattr("sweeper.worker.work.CHECKPOINT_EVERY_S", -1.0)
        patched.setattr("sweeper.running.session.Worker", partial(Worker, chunk_s=0.0))
        patched.setattr(Work, "_save", save_and_export)
        assert run(here, path).exit_code == 0
    with Archive(archive) as opened:
        assert merge(opened, there)[spec.trial_id].taken == "added"
    name = here.trial(spec.trial_id).checkpoint(1, spec.target).relative_to(here.root)
    assert (there.root / name).read_bytes() != (here.root / name).read_bytes()
    assert run(there, path).exit_code == 0
    assert measured(there) == measured(here)
    assert final_bytes(there, spec.trial_id) == final_bytes(here, spec.trial_id)


def test_a_damaged_last_checkpoint_is_passed_over_for_the_one_before(trained, tmp_path):
    results = Results.at(_copy(trained / "results", tmp_path / "results"))
    sweep = load(trained / "tiny.yaml")
    paths = some_trial(results)
    good = paths.checkpoints(99)[0]
    later = paths.checkpoint(1, 5)
    later.write_bytes(good.read_bytes()[:-1])
    export(sweep, None, expand(sweep), results, tmp_path / "out.zip")
    names = entries(tmp_path / "out.zip")
    assert good.relative_to(results.root).as_posix() in names
    assert later.relative_to(results.root).as_posix() not in names


def test_a_checkpoint_is_whole_for_an_archive_just_when_it_is_for_the_trainer(trained, tmp_path):
    path = some_trial(Results.at(trained / "results")).checkpoints(99)[0]
    content = path.read_bytes()
    read_checkpoint(path)
    assert unseal(content) is not None
    for damaged in (content[:-1], content[:70] + b"?" + content[71:], b"", b"0" + content[1:]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / "damaged")
        assert unseal(damaged) is None


def test_an_export_refuses_to_overwrite_and_leaves_nothing_half_written(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "tiny.zip"
    out.write_text("precious")
    ask = ["export", str(trained / "tiny.yaml"), "--results", str(trained / "results")]
    refused = CliRunner().invoke(main, ask)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--force" in refused.stderr
    monkeypatch.setattr(os, "fsync", _full)
    failed = CliRunner().invoke(main, [*ask, "--force"])
    assert (failed.exit_code, failed.stdout) == (4, "")
    assert "No space left" in failed.stderr
    assert out.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.zip"]
    monkeypatch.undo()
    assert CliRunner().invoke(main, [*ask, "--force", "--out", str(out)]).exit_code == 0
    assert zipfile.is_zipfile(out)


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_an_import_that_runs_out_of_space_leaves_whole_trials_and_goes_on_later(exported, tmp_path, monkeypatch):
    results = Results.at(tmp_path / "results")
    left = [0, 1, 2]
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: fsync(descriptor) if left and left.pop() >= 0 else _full(0))
    with Archive(exported) as opened:
        with pytest.raises(ResultsError, match="No space left"):
            merge(opened, results)
        assert [path.name for path in (results.root / ".import").iterdir()] == ["lock"]
        found = list((results.root / "trials").iterdir())
        assert len(found) == 1
        assert fold(results.trial(found[0].name).journal)["status"] == "done"
        monkeypatch.undo()
        assert sorted(outcome.taken for outcome in merge(opened, results).values()) == ["added"] * 3 + ["unchanged"]


def test_nothing_to_export_and_no_such_folder_are_said(write_sweep, results, tmp_path):
    sweep = load(write_sweep())
    with pytest.raises(SweepError, match="none of its 4 trials has begun"):
        export(sweep, None, expand(sweep), results, tmp_path / "out.zip")
    with pytest.raises(SweepError, match="doesn't exist"):
        export(sweep, None, expand(sweep), results, tmp_path / "no" / "out.zip")
    assert not results.root.exists()


def refused(path: Path, folder: Path) -> str:
    """Import `path` as a user does; assert that it is refused with one sentence and nothing written."""
    result = CliRunner().invoke(main, ["import", str(path), "--results", str(folder / "refused")])
    assert result.exit_code == 2, (result.exception, result.stderr)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert not (folder / "refused").exists()
    return result.stderr


OTHER = "0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/escaped",
        "trials/../../escaped",
        f"trials/{OTHER}/../../../journal.jsonl",
        f"trials/{OTHER}/a1/../../../step-00000001.ckpt",
        f"trials\\{OTHER}\\journal.jsonl",
        f"trials/{OTHER}/lock",
        f"trials/{OTHER[:-1]}/journal.jsonl",
        f"trials/{OTHER.upper()}/journal.jsonl",
        f"trials/{OTHER}/journal.jsonl\n",
        f"trials/{OTHER}/journal.jsonl/",
        f"trials/{OTHER}/a01/step-00000001.ckpt",
        f"trials/{OTHER}/a1/step-1.ckpt",
        f"trials/{OTHER}/a1/step-٠٠٠٠٠٠٠١.ckpt",
        "digests.json",
        "C:/journal.jsonl",
    ],
)
def test_only_the_names_that_an_export_writes_are_taken(exported, tmp_path, name):
    content = entries(exported)
    assert "is not a name that an export writes" in refused(
        forge(tmp_path / "bad.zip", {**content, name: b"x"}), tmp_path
    )
    assert not (tmp_path / "escaped").exists()


def changed_journal(content: dict[str, bytes], change) -> dict[str, bytes]:
    name = next(name for name in content if name.endswith("journal.jsonl"))
    return {**content, name: change(content[name])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-1], "is cut short"),
        (lambda text: text + b"{}\n", "kind"),
        (lambda text: text + b"not json\n", "Invalid JSON"),
        (lambda text: text + b"[" * 100_000 + b"\n", "line 7"),
        (lambda text: text + b'{"kind":"done","attempt":0,"time_ms":1,"step":4,"message":""}\n', "attempt"),
        (lambda text: text.replace(b'"query_loss":', b'"query_lost":', 1), "query_loss"),
        (lambda text: text.replace(b'"sd":{"trained":[', b'"sd":{"trained":["x",', 1), "sd"),
        (lambda text: text.replace(b',"zeroed":[', b',"zero":[').replace(b'"trained":[', b'"train":['), "neither head"),
        (lambda text: text.replace(b'"kind":"done"', b'"kind":"failed"', 1), "message"),
        (lambda text: text.replace(b'"kind":"done"', b'"kind":"won"', 1), "line 6"),
        (lambda text: text.partition(b"\n")[2], "line 1: doesn't open an attempt"),
        (lambda text: b"", "line 1: doesn't open an attempt"),
        (lambda text: text.replace(b'"trial_id":"', b'"trial_id":"0123456789abcdef","was":"', 1), "is of trial"),
        (
            lambda text: text.replace(b'"dataset":"strokes"', b'"dataset":"omniglot"', 1),
            "was trained on data that manifest.json",
        ),
        (
            lambda text: text.replace(b'"digest":"', b'"digest":"' + b"0" * 64 + b'","was":"', 1),
            "was trained on data that manifest.json",
        ),
    ],
)
def test_a_journal_that_no_run_wrote_is_refused(exported, tmp_path, change, said):
    content = changed_journal(entries(exported), change)
    assert said in refused(forge(tmp_path / "bad.zip", content), tmp_path)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"schema_version": 2}, "newer sweeper"),
        ({"digests": {"strokes": "short"}}, "digests"),
        ({"sweep": 5}, "sweep"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_manifest_of_another_form_is_refused(exported, tmp_path, manifest, said):
    assert said in refused(forge(tmp_path / "bad.zip", entries(exported), manifest=manifest), tmp_path)


def test_content_that_does_not_match_its_digest_is_refused(exported, tmp_path):
    content = changed_journal(entries(exported), lambda text: text.replace(b"0", b"1"))
    assert "doesn't match its digest" in refused(forge(tmp_path / "bad.zip", content, listed=False), tmp_path)


def test_entries_that_the_manifest_lacks_or_names_in_vain_are_refused(exported, tmp_path):
    content = entries(exported)
    last = list(content)[-1]
    fewer = {name: data for name, data in content.items() if name != last}
    assert "its entries differ from those in" in refused(forge(tmp_path / "bad.zip", fewer, listed=False), tmp_path)
    more = {**content, last.replace("a1", "a2"): content[last]}
    assert "its entries differ from those in" in refused(forge(tmp_path / "bad.zip", more, listed=False), tmp_path)


def test_a_checkpoint_that_is_damaged_or_of_no_trial_is_refused(exported, tmp_path):
    content = entries(exported)
    last = list(content)[-1]
    assert "isn't a whole checkpoint" in refused(forge(tmp_path / "bad.zip", {**content, last: b"x"}), tmp_path)
    lone = {**content, f"trials/{OTHER}/a1/step-00000001.ckpt": content[last]}
    assert "doesn't follow its trial's journal" in refused(forge(tmp_path / "bad.zip", lone), tmp_path)


def test_links_and_twins_and_a_manifest_in_another_place_are_refused(exported, tmp_path):
    content = entries(exported)
    link = zipfile.ZipInfo(f"trials/{OTHER}/journal.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for index, (entry, said) in enumerate([(link, "not a plain file"), (list(content)[-1], "twice")]):
        path = forge(tmp_path / f"bad{index}.zip", content)
        with zipfile.ZipFile(path, "a") as made, pytest.warns() if index else nullcontext():
            made.writestr(entry, b"/etc/passwd")
        assert said in refused(path, tmp_path)
    with zipfile.ZipFile(tmp_path / "late.zip", "w") as made:
        for name in reversed(content):
            made.writestr(name, content[name])
    assert "doesn't begin with manifest.json" in refused(tmp_path / "late.zip", tmp_path)


def test_bombs_are_refused_by_their_headers(exported, tmp_path, monkeypatch):
    content = entries(exported)
    bomb = changed_journal(content, lambda text: b" " * 2**24)
    assert "times its compressed size" in refused(forge(tmp_path / "ratio.zip", bomb), tmp_path)
    for limit, value, said in [
        ("MOST_ENTRIES", 3, "more than 3 entries"),
        ("LARGEST_ENTRY", 100, "larger than 100"),
        ("LARGEST_IN_ALL", 1000, "more than 1000"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(form, limit, value)
            assert said in refused(exported, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip at all", b"PK\x03\x04"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content)
    refused(tmp_path / "bad.zip", tmp_path)


def test_a_directory_that_points_outside_the_file_is_refused(exported, tmp_path):
    content = exported.read_bytes()
    (tmp_path / "bad.zip").write_bytes(content[:-6] + b"\xff\xff\xff\x7f" + content[-2:])
    assert "refers to bytes outside the file" in refused(tmp_path / "bad.zip", tmp_path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    assert "No such file" in refused(tmp_path / "none.zip", tmp_path)
    assert "Is a directory" in refused(tmp_path, tmp_path)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_an_archive_raises_anything_but_its_own_error_or_lets_wrong_bytes_in(exported, tmp_path, data):
    content = bytearray(exported.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers and the directory at the end are where a zip's structure is.
        tail = data.draw(st.booleans())
        place = data.draw(st.integers(max(0, len(content) - 2000), len(content) - 1) if tail else
                          st.integers(0, len(content) - 1))  # fmt: skip
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) - 1, len(content) // 2]))]
    (tmp_path / "damaged.zip").write_bytes(content)
    try:
        with Archive(tmp_path / "damaged.zip") as opened:
            found = {m.name: opened.read(m) for listed in opened.trials.values() for m in listed}
    except ArchiveError:
        return
    whole = entries(exported)
    assert all(whole[name] == content for name, content in found.items())


def test_export_and_import_load_no_torch_ray_or_mlflow(exported, tmp_path):
    program = (
        "import sys\nfrom sweeper.cli import main\n"
        f"main(['import', {str(exported)!r}], standalone_mode=False)\n"
        f"main(['export', {str(exported.parent / 'tiny.yaml')!r}, '--out', 'o.zip'], standalone_mode=False)\n"
        "print('loaded:', *sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'ray', 'mlflow', 'pandas'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment()
    )
    assert done.stdout.endswith("loaded:\n")
