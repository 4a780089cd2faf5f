"""A damaged journal is named with its line, its loss and one command; that command goes on to the same bits.

Nothing is mended without that command, or while another process holds the trial, and the damaged file stays.
"""

import json
import re
import shlex
import shutil

import pytest

from sweeper.results.damage import damage_of
from sweeper.results.fold import fold
from sweeper.results.journal import Journal
from sweeper.results.locks import Lock
from sweeper.results.mend import mend
from sweeper.results.paths import Results
from tests.sweeper.played import begin, command, finish, reach, run
from tests.sweeper.running.test_run import final_bytes, measured
from tests.sweeper.tiny import TINY, write_tiny


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Two tiny trials, trained by an engine that is not the fastest, and the path of their sweep."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path = write_tiny(folder, "  inner_steps: [1]")
    results = Results.at(folder / "results")
    assert run(results, path, "--engine", "loop").exit_code == 0
    return results, path


@pytest.fixture
def trained(undisturbed, tmp_path):
    results, path = undisturbed
    shutil.copytree(results.root, tmp_path / "results")
    return Results.at(tmp_path / "results"), path


def lines_of(path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def write(path, lines) -> None:
    path.write_bytes(b"".join(lines))


def flipped(path, at: int, mask: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


def flip_a_brace(path):
    flipped(path, path.read_bytes().index(b'{"kind":"record"'), 2)


def flip_a_newline(path):
    flipped(path, path.read_bytes().index(b"\n", path.read_bytes().index(b"\n") + 1), 4)


def tear_the_middle(path):
    first, second, *rest = lines_of(path)
    write(path, [first, second[: len(second) // 2], *rest])


def drop(number):
    return lambda path: write(path, [line for at, line in enumerate(lines_of(path), 1) if at != number])


def not_utf8(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"evaluation"', b'"eval\xff\xfetion"', 1))


def damage_the_begin(path):
    flipped(path, 3)


def damage_the_end(path):
    flipped(path, path.read_bytes().rindex(b'"done"') + 1)


def another_number(path):
    content = path.read_bytes()
    at = content.index(b'"query_loss":') + len(b'"query_loss":1.2')
    flipped(path, at)


def another_config(path):
    content = path.read_bytes()
    assert b'"meta_batch_size":2' in content
    path.write_bytes(content.replace(b'"meta_batch_size":2', b'"meta_batch_size":3', 1))


def another_field(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"zero_head_when":', b'"zero_head_wlen":', 1))


def another_choice(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"cross_entropy"', b'"crocs_entropy"', 1))


def another_engine(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"engine":"loop"', b'"engine":"hoop"', 1))


def another_id(path):
    flipped(path, path.read_bytes().index(b'"trial_id":"') + len(b'"trial_id":"'))


def zeros(path):
    first, second, *rest = lines_of(path)
    write(path, [first, b"\0" * (len(second) - 1) + b"\n", *rest])


DAMAGES = {
    "one bit of a record": (flip_a_brace, 2),
    "the newline of a record": (flip_a_newline, 2),
    "a torn middle": (tear_the_middle, 2),
    "no first line": (drop(1), 1),
    "bytes that are not UTF-8": (not_utf8, 3),
    "one bit of the first line": (damage_the_begin, 1),
    "one bit of the end": (damage_the_end, -1),
    "zeros": (zeros, 2),
    "one bit of a field's name": (another_field, 1),
    "one bit of a field's value": (another_choice, 1),
}
SILENT = {
    "a record's line is gone": (drop(3), -1),
    "another number": (another_number, 2),
    "another config": (another_config, 1),
    "another id": (another_id, 1),
    "another engine": (another_engine, 1),
}
"""Lines that any reader could take for what a run wrote."""


def the_command(told: str) -> list[str]:
    (line,) = [line for line in told.splitlines() if " damaged; this goes on from the last sound line: " in line]
    words = shlex.split(line.partition("line: ")[2])
    assert words[0] == "sweeper"
    return words[1:]


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_one_command_goes_on_from_the_last_sound_line_to_the_same_bits(undisturbed, trained, name):
    results, path = trained
    damage, number = DAMAGES[name]
    first, other = sorted(found.name for found in (results.root / "trials").iterdir())
    journal = results.trial(first).journal
    whole = len(lines_of(journal))
    damage(journal)
    content, untouched = journal.read_bytes(), results.trial(other).journal.read_bytes()
    left = run(results, path)
    assert left.exit_code == 3, left.output
    assert journal.read_bytes() == content
    (told,) = [line for line in left.stderr.splitlines() if line.startswith(first)]
    number = number % (whole + 1)
    assert re.search(rf"its journal is damaged: {re.escape(str(journal))}(:{number} |, line {number}: )", told), told
    assert re.search(r"; lines? \d+( to \d+)? (is|are) lost", told)
    assert "the checkpoint of step 4 has every record up to there" in told
    mended = command(*the_command(left.stderr))
    assert mended.exit_code == 0, mended.output
    assert measured(results) == measured(undisturbed[0])
    assert final_bytes(results, first) == final_bytes(undisturbed[0], first)
    assert results.trial(first).damaged(1).read_bytes() == content
    assert str(results.trial(first).damaged(1)) in mended.stderr
    record = fold(journal)
    assert record["status"] == "done"
    assert {attempt["engine"] for attempt in record["attempts"]} == {"loop"}
    assert damage_of(results.trial(first)) is None
    assert results.trial(other).journal.read_bytes() == untouched
    again = run(results, path)
    assert (again.exit_code, "0 to run" in again.stderr) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SILENT)
def test_what_only_the_checkpoint_or_the_id_contradicts_is_found_by_doctor_and_mended(undisturbed, trained, name):
    results, path = trained
    damage, number = SILENT[name]
    trial_id = sorted(found.name for found in (results.root / "trials").iterdir())[0]
    journal = results.trial(trial_id).journal
    damage(journal)
    number = number if number > 0 else len(lines_of(journal))
    told = command("doctor", "--results", results.root, "--tracking-uri", "none")
    assert told.exit_code == 1
    line, advice = [line for line in told.stdout.splitlines() if f"--mend {trial_id}" in line or str(journal) in line]
    assert line.startswith("bad   journals")
    assert f"{journal}, line {number}: " in line
    assert f"sweeper run FILE --mend {trial_id} --results {results.root}" in advice
    mended = run(results, path, "--mend", trial_id)
    assert mended.exit_code == 0, mended.output
    assert measured(results) == measured(undisturbed[0])
    assert final_bytes(results, trial_id) == final_bytes(undisturbed[0], trial_id)


@pytest.mark.slow
@pytest.mark.parametrize("whole_ones", [0, 1])
def test_a_damaged_checkpoint_too_costs_steps_and_no_bit(undisturbed, trained, whole_ones):
    results, path = trained
    trial_id = sorted(found.name for found in (results.root / "trials").iterdir())[0]
    paths = results.trial(trial_id)
    good = paths.checkpoints(99)[0]
    if whole_ones:
        good.rename(good.with_name("step-00000002.ckpt"))  # stands for an earlier one; its content is of step 4
        paths.checkpoint(1, 4).write_bytes(b"x")
    else:
        flipped(good, 100)
    flip_a_brace(paths.journal)
    left = run(results, path)
    assert "the checkpoint of step 2 has" in left.stderr if whole_ones else "no whole checkpoint" in left.stderr
    mended = command(*the_command(left.stderr))
    assert mended.exit_code == 0, mended.output
    assert measured(results) == measured(undisturbed[0])
    if not whole_ones:
        assert final_bytes(results, trial_id) == final_bytes(undisturbed[0], trial_id)


@pytest.mark.slow
def test_two_damaged_trials_need_one_command_and_train_as_a_pack_without_checkpoints(undisturbed, trained):
    results, path = trained
    for folder in (results.root / "trials").iterdir():
        flip_a_brace(results.trial(folder.name).journal)
        for checkpoint in results.trial(folder.name).checkpoints(99):
            checkpoint.unlink()
    left = run(results, path)
    words = the_command(left.stderr)
    assert words.count("--mend") == 2
    mended = command(*words, "--pack", "2")
    assert mended.exit_code == 0, mended.output
    assert "2 planned: 2 interrupted; 2 to run on cpu" in mended.stderr
    assert ", after the mend of 2 journals" in mended.stderr
    assert measured(results) == measured(undisturbed[0])


@pytest.fixture
def whole(results, specs):
    for spec in specs:
        finish(results, spec)
    return results


def test_plan_and_status_end_with_the_command(whole, specs, write_sweep):
    path = write_sweep()
    flip_a_brace(whole.trial(specs[1].trial_id).journal)
    flip_a_brace(whole.trial(specs[3].trial_id).journal)
    for name in ("plan", "status"):
        asked = command(name, path, "--results", whole.root)
        assert asked.exit_code == 0
        assert the_command(asked.stdout) == [
            *("run", str(path), "--results", str(whole.root)),
            *("--mend", specs[1].trial_id, "--mend", specs[3].trial_id),
        ]
        assert "lines 2 to 3 are lost, with the end (done at step 4); line 1 is sound, and there is no" in asked.stdout


@pytest.mark.parametrize("name", ["nothing", "no axis"])
def test_a_selector_of_no_trial_is_refused(whole, write_sweep, name):
    selector = {"nothing": "seed=9", "no axis": "sede=0"}[name]
    told = run(whole, write_sweep(), "--mend", selector)
    assert told.exit_code == 2
    assert f"--mend {selector}: " in told.stderr


def test_a_sound_trial_is_left_alone_and_that_is_said(whole, specs, write_sweep):
    before = whole.trial(specs[0].trial_id).journal.read_bytes()
    told = run(whole, write_sweep(), "--mend", specs[0].trial_id)
    assert told.exit_code == 0, told.output
    assert f"{specs[0].trial_id}: its journal is sound, so it is not mended" in told.stderr
    assert whole.trial(specs[0].trial_id).journal.read_bytes() == before
    assert not whole.trial(specs[0].trial_id).damaged(1).exists()


def test_a_trial_that_a_process_holds_is_not_mended(whole, specs, write_sweep):
    paths = whole.trial(specs[0].trial_id)
    flip_a_brace(paths.journal)
    before = paths.journal.read_bytes()
    lock = Lock(paths)
    assert lock.take()
    try:
        told = run(whole, write_sweep(), "--mend", specs[0].trial_id)
    finally:
        lock.release()
    assert told.exit_code == 2
    assert f"{specs[0].trial_id} is being trained; stop it with `sweeper stop" in told.stderr
    assert paths.journal.read_bytes() == before
    assert not paths.damaged(1).exists()


def test_a_newer_journal_is_not_mended(whole, specs, write_sweep):
    journal = whole.trial(specs[0].trial_id).journal
    journal.write_bytes(journal.read_bytes().replace(b'"form":1', b'"form":3', 1))
    before = journal.read_bytes()
    told = run(whole, write_sweep(), "--mend", specs[0].trial_id)
    assert told.exit_code == 3
    assert f"{specs[0].trial_id}: its journal is from a newer sweeper, so it is not mended" in told.stderr
    assert journal.read_bytes() == before


def test_mend_and_rerun_of_one_trial_and_a_dry_run_change_nothing(whole, specs, write_sweep):
    journal = whole.trial(specs[0].trial_id).journal
    flip_a_brace(journal)
    before = journal.read_bytes()
    told = run(whole, write_sweep(), "--mend", specs[0].trial_id, "--rerun", "seed=0", "--yes")
    assert (told.exit_code, "--mend and --rerun both pick it" in told.stderr) == (2, True)
    told = run(whole, write_sweep(), "--mend", specs[0].trial_id, "--dry-run")
    assert told.exit_code == 0, told.output
    assert specs[0].trial_id in told.stdout
    assert journal.read_bytes() == before


def test_a_sound_end_before_the_damage_needs_no_training(whole, specs, write_sweep):
    journal = whole.trial(specs[0].trial_id).journal
    sound = journal.read_bytes()
    journal.write_bytes(sound + b"\0\0\n")
    told = run(whole, write_sweep(), "--mend", "seed=0")
    assert told.exit_code == 0, told.output
    assert "0 to run on cpu" in told.stderr
    assert journal.read_bytes() == sound


def test_a_process_that_still_writes_an_earlier_attempt_stops_at_the_mend(results, specs):
    writer = begin(results, specs[0])
    reach(writer, 2)
    content = writer.path.read_bytes()
    writer.path.write_bytes(content + b"5\n")
    mend(results, [specs[0].trial_id])  # the lock is free: locks don't reach the writer
    assert writer.path.read_bytes() == content
    with pytest.raises(Exception, match="another run has begun attempt"):
        reach(writer, 4)
    assert writer.path.read_bytes() == content
    assert Journal(writer.path).attempts == 1


def test_a_second_mend_keeps_the_first_damaged_file(results, specs):
    paths = results.trial(specs[0].trial_id)
    finish(results, specs[0])
    kept = []
    for junk in (b"1\n", b"2\n"):
        paths.journal.write_bytes(paths.journal.read_bytes() + junk)
        kept.append(paths.journal.read_bytes())
        assert "3 sound lines" in mend(results, [specs[0].trial_id])[specs[0].trial_id]
    assert [paths.damaged(number).read_bytes() for number in (1, 2)] == kept
    assert mend(results, [specs[0].trial_id]) == {}


def test_an_export_names_the_line_and_the_command(whole, specs, write_sweep, tmp_path):
    flip_a_brace(whole.trial(specs[1].trial_id).journal)
    told = command("export", write_sweep(), "--results", whole.root, "--out", tmp_path / "out.zip")
    assert told.exit_code == 4
    assert f"{whole.trial(specs[1].trial_id).journal}, line 2: " in told.stderr
    assert f"mend it with `sweeper run FILE --mend {specs[1].trial_id}`" in told.stderr
    assert not (tmp_path / "out.zip").exists()


def test_an_import_onto_a_damaged_journal_says_so_and_changes_nothing(whole, specs, write_sweep, tmp_path):
    path, paths = write_sweep(), whole.trial(specs[1].trial_id)
    assert command("export", path, "--results", whole.root, "--out", tmp_path / "out.zip").exit_code == 0
    flip_a_brace(paths.journal)
    before = paths.journal.read_bytes()
    told = command("import", tmp_path / "out.zip", "--results", whole.root)
    assert told.exit_code == 3
    assert f"not imported, its journal here is damaged: {paths.journal}, line 2: " in told.stderr
    assert paths.journal.read_bytes() == before


@pytest.mark.slow
def test_the_store_equals_the_journals_after_a_mend_and_report_names_the_damage(tmp_path, results):
    from mlflow import MlflowClient

    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace("inner_steps: [1, 2]", "inner_steps: [1]"))
    assert run(results, path).exit_code == 0
    assert command("sync", path, "--results", results.root).exit_code == 0
    trial_id = sorted(found.name for found in (results.root / "trials").iterdir())[0]
    journal = results.trial(trial_id).journal
    flip_a_brace(journal)
    told = command("report", path, "--results", results.root, "--out", tmp_path / "out")
    assert told.exit_code == 0, told.output
    assert f"{trial_id}: its journal is damaged: {journal}" in told.stderr
    words = the_command(told.stderr)
    synced = command("sync", path, "--results", results.root)
    assert synced.exit_code == 4
    assert f"--mend {trial_id}" in synced.stderr
    assert command(*words, "--executor", "inline", "--tracking-uri", "none").exit_code == 0
    assert command("sync", path, "--results", results.root).exit_code == 0
    client = MlflowClient(f"sqlite:///{results.root}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tiny"]
    (shown,) = client.search_runs(
        [experiment.experiment_id], f"tags.trial_id = '{trial_id}' and tags.`sweeper.kind` = 'trial'"
    )
    record = fold(journal)
    history = client.get_metric_history(shown.info.run_id, "test_accuracy/zeroed/inner_steps")
    assert [(point.step, point.timestamp, point.value) for point in history] == [
        (found["step"], found["time_ms"], found["accuracy"]["zeroed"][1]) for found in record["evaluations"]
    ]
    assert json.loads(command("status", path, "--results", results.root, "--json").stdout)["done"] == 2
