"""An archive carries a sweep's results whole, to any folder, any number of times."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sweeper.archive.export import export
from sweeper.archive.format import Archive
from sweeper.archive.merge import merge
from sweeper.cli import main
from sweeper.dealing.dealt_trial import Worker
from sweeper.errors import SweepError
from sweeper.host.provenance import circumstances
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.journal import Journal
from sweeper.results.locks import Lock
from sweeper.results.paths import Results, ResultsError, TrialPaths
from sweeper.sweepfile.sweep import load
from sweeper.worker.work import Work
from tests.sweeper.archive.conftest import PASSWORD
from tests.sweeper.archive.contents import entries, snapshot, trials
from tests.sweeper.command import environment, sweeper
from tests.sweeper.played import run
from tests.sweeper.running.test_run import final_bytes, measured
from tests.sweeper.tiny import TINY, write_tiny
from trainers.maml.checkpoints.checkpoint import read as read_checkpoint
from trainers.sealed_file import unseal
from trainers.trainer import CheckpointError


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


@pytest.mark.slow
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
