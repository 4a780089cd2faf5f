"""Runs of a trainer other than MAML: resume, growth, changed code, export and import, and no import of MAML's code."""

import json
import zipfile

import pytest

from sweeper.archive.format import sha256
from sweeper.dealing.dealer import Dealer, Worker
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.results.survey import survey
from sweeper.sweepfile.sweep import load
from sweeper.worker import work as work_module
from sweeper.worker.work import Work
from tests.places import ROOT
from tests.sweeper.command import sweeper
from tests.sweeper.played import command, run
from tests.sweeper.plugged import ENDLESS, FORGETFUL, PACKED, TOY, write_toys

RESTLESS = TOY.replace('"loss": state["x"]', '"loss": random.random()').replace("from data", "import random\nfrom data")
"""It claims to resume, and yields other numbers each time."""
SLOWER = TOY.replace('state["x"] -=', 'state["x"] -= 0.0 +')
"""The same numbers by other code."""


@pytest.fixture
def saving(monkeypatch):
    """Let every chunk be saved."""
    monkeypatch.setattr(work_module, "CHECKPOINT_EVERY_S", -1.0)


def specs_of(folder, *lines, code=TOY):
    return expand(load(write_toys(folder, code, *lines)))


def losses(results, spec):
    readings = fold(results.trial(spec.trial_id).journal)["readings"]
    return {reading["step"]: reading["values"]["loss"] for reading in readings}


def expected(spec, steps=4):
    x, found = 1.0 + spec.seed, {}
    for step in range(1, steps + 1):
        x -= spec.cell_config.rate * x
        found[step] = x
    return found


class Driven:
    """A run whose workers live for as many chunks as the test says; each chunk is one step."""

    def __init__(self, specs, results, pack=1):
        self.now_s, ids = 0.0, [spec.trial_id for spec in specs]
        worker = Worker(device="cpu", threads=1, pack=pack, data={}, timeout_s=600.0, chunk_s=0.0)
        self.dealer = Dealer(
            specs, sweeps=dict.fromkeys(ids, "toys"), engines=dict.fromkeys(ids, "python"), results=results,
            worker=worker, note=lambda _: None, clock=lambda: self.now_s,
        )  # fmt: skip

    def train(self, chunks=10**6):
        """Train what is dealt next and return its assignment; its worker is killed after `chunks` chunks."""
        while (assignment := self.dealer.next_assignment()) is None:
            assert not self.dealer.over, self.dealer.fatal
            self.now_s += 0.5
        work, update = Work(assignment), None
        while chunks and not (update and update["over"]):
            update = work.step()
            self.dealer.receive(update)
            chunks -= 1
        self.dealer.ended(assignment["pack"])
        return assignment

    def finish(self):
        while not self.dealer.over:
            self.train()


def states(results, specs):
    return [standing.state for standing in survey(results, specs).standings]


def test_a_run_trains_every_trial_and_the_next_has_nothing_to_do(tmp_path, results):
    specs = specs_of(tmp_path)
    ended = run(results, tmp_path / "toys.yaml")
    assert ended.exit_code == 0, ended.output
    assert all(losses(results, spec) == expected(spec) for spec in specs)
    again = run(results, tmp_path / "toys.yaml")
    assert (again.exit_code, "4 done" in again.output) == (0, True)
    assert len(fold(results.trial(specs[0].trial_id).journal)["attempts"]) == 1


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_killed_worker_loses_nothing(tmp_path, results, saving, killed_after):
    specs = specs_of(tmp_path)
    driven = Driven(specs, results)
    driven.train(killed_after)
    driven.finish()
    assert states(results, specs) == ["done"] * 4
    assert all(losses(results, spec) == expected(spec) for spec in specs)
    assert len(fold(results.trial(specs[0].trial_id).journal)["attempts"]) == 2


def test_a_trainer_without_a_state_is_trained_from_nothing_and_two_trainings_are_never_mixed(tmp_path, results, saving):
    specs = specs_of(tmp_path, code=FORGETFUL)
    driven = Driven(specs[:1], results)
    driven.train(2)
    assert losses(results, specs[0]).keys() == {1, 2}
    standing = survey(results, specs[:1]).standings[0]
    assert (standing.state, standing.why) == ("interrupted", "interrupted at step 2 of 4; starts again")
    driven.train(1)
    assert losses(results, specs[0]).keys() == {1}
    driven.finish()
    assert losses(results, specs[0]) == expected(specs[0])


def test_a_trial_grows_to_a_longer_target_and_equals_one_that_had_it_from_the_start(tmp_path, results):
    run(results, write_toys(tmp_path, TOY, "  steps: 2"))
    specs = specs_of(tmp_path, "  steps: 4")
    assert [standing.why for standing in survey(results, specs).standings] == ["longer target: at step 2 of 4"] * 4
    run(results, tmp_path / "toys.yaml")
    assert all(losses(results, spec) == expected(spec) for spec in specs)
    log = results.trial(specs[0].trial_id).log(2).read_text()
    assert "continues from step 2" in log
    shorter = specs_of(tmp_path, "  steps: 2")
    assert states(results, shorter) == ["done"] * 4


def test_a_trainer_without_a_length_ends_by_itself_and_is_done(tmp_path, results, saving):
    specs = specs_of(tmp_path, code=ENDLESS)
    driven = Driven(specs, results)
    driven.train(2)
    driven.finish()
    assert states(results, specs) == ["done"] * 4
    assert all(losses(results, spec) == expected(spec) for spec in specs)
    assert "continues from step 2" in results.trial(specs[0].trial_id).log(2).read_text()


def test_a_trainer_that_never_yields_fails_its_trial_after_its_retries_and_the_message_names_it(tmp_path, results):
    specs = specs_of(tmp_path)
    driven = Driven(specs[:1], results)
    for _ in range(4):
        while (assignment := driven.dealer.next_assignment()) is None:
            driven.now_s += 0.5
        driven.now_s += 700.0
        driven.dealer.ended(assignment["pack"])
    record = fold(results.trial(specs[0].trial_id).journal)
    said = "no word for 700 s, and train of trainer toy must yield more often, or --timeout be longer"
    assert (record["status"], record["message"]) == ("failed", f"{said}; its worker was lost 4 times")


def test_numbers_that_can_not_be_repeated_end_the_trial_and_the_others_go_on(tmp_path, results, saving):
    specs = specs_of(tmp_path, code=RESTLESS)
    driven = Driven(specs, results)
    journal = results.trial(specs[0].trial_id)
    driven.train(2)
    (checkpoint, *_) = journal.checkpoints(4)
    checkpoint.unlink()  # the records of step 2 are in the journal alone
    driven.finish()
    assert states(results, specs) == ["failed", "done", "done", "done"]
    message = fold(journal.journal)["message"]
    assert message.startswith("not reproducible at step 2: loss was ")
    assert "--rerun" in message


def test_trials_are_packed_only_where_their_trainer_says_so(tmp_path, results):
    specs = specs_of(tmp_path)
    assert len({spec.shared_by_pack() for spec in specs}) == 4
    assert len(Driven(specs, results, pack=4).train()["members"]) == 1


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_pack_goes_on_as_a_pack_after_a_kill_and_ends_as_alone(tmp_path, results, saving, killed_after):
    specs = specs_of(tmp_path, code=PACKED)
    driven = Driven(specs, results, pack=4)
    sizes = [len(driven.train(killed_after)["members"])]
    while not driven.dealer.over:
        sizes.append(len(driven.train()["members"]))
    assert sizes == [4, 4]
    assert all(losses(results, spec) == expected(spec) for spec in specs)
    log = results.trial(specs[0].trial_id).log(2).read_text()
    assert f"continues from step {killed_after}" in log and "in a pack of 4" in log


def test_a_plug_that_can_not_say_its_progress_is_trained_all_the_same(tmp_path, results, monkeypatch):
    specs = specs_of(tmp_path)
    monkeypatch.setattr(specs[0].trainer, "progress", lambda key, value: value["lost"])
    driven = Driven(specs[:1], results)
    driven.finish()
    assert driven.dealer.fatal is None
    assert losses(results, specs[0]) == expected(specs[0])


def test_changed_code_is_told_and_refused_until_it_is_accepted_or_trained_again(tmp_path, results):
    file = write_toys(tmp_path)
    assert run(results, file, "--only", "rate=0.25").exit_code == 0
    (tmp_path / "toy.py").write_text(SLOWER)
    plan = json.loads(command("plan", file, "--results", results.root, "--json").output)
    assert plan["trials"][0]["why"] == "done at step 4; code changed since attempt 1"
    for only in ([], ["--only", "rate=0.5"]):
        refused = run(results, file, *only)
        assert refused.exit_code == 2
        assert "the code of trainer toy has changed since " in refused.output
        assert "--rerun" in refused.output and "--accept-code" in refused.output
    assert not (results.root / "accepted_codes.json").exists()
    assert run(results, file, "--dry-run", "--accept-code").exit_code == 0
    assert not (results.root / "accepted_codes.json").exists()
    assert run(results, file, "--accept-code").exit_code == 0
    plan = json.loads(command("plan", file, "--results", results.root, "--json").output)
    assert [trial["why"] for trial in plan["trials"]] == ["done at step 4"] * 4
    (tmp_path / "toy.py").write_text(SLOWER.replace("0.0 +", "0.00 +"))
    assert run(results, file).exit_code == 2
    again = run(results, file, "--rerun", "rate=0.25", "--rerun", "rate=0.5", "--yes")
    assert again.exit_code == 0, again.output
    assert run(results, file).exit_code == 0


def test_code_that_changes_while_a_run_goes_on_stops_its_trials_and_fails_none(tmp_path, results):
    specs = specs_of(tmp_path)
    driven = Driven(specs, results)
    driven.train()
    (tmp_path / "toy.py").write_text(SLOWER)
    driven.finish()
    assert states(results, specs) == ["done"] + ["interrupted"] * 3
    assert "changed after the run began" in fold(results.trial(specs[1].trial_id).journal)["message"]


def test_an_archive_carries_trials_and_what_reads_them_and_never_imports_their_code(tmp_path, results):
    specs = specs_of(tmp_path)
    run(results, tmp_path / "toys.yaml")
    out = tmp_path / "toys.zip"
    exported = command("export", tmp_path / "toys.yaml", "--results", results.root, "--out", out)
    assert exported.exit_code == 0, exported.output
    (tmp_path / "toy.py").write_text("raise SystemExit('imported')")
    other = Results.at(tmp_path / "other")
    imported = command("import", out, "--results", other.root)
    assert imported.exit_code == 0, imported.output
    for spec in specs:
        ours, theirs = (folder.trial(spec.trial_id).journal.read_bytes() for folder in (results, other))
        assert ours == theirs
        assert other.trial(spec.trial_id).checkpoint(1, 4).exists()
    assert other.trainer("toy").read_bytes() == results.trainer("toy").read_bytes()
    assert command("import", out, "--results", other.root).exit_code == 0


@pytest.fixture
def archive(tmp_path, results):
    """Return a writer of the archive of a run of the toy, with entries changed: name to content, None to leave out."""
    assert run(results, write_toys(tmp_path)).exit_code == 0
    command("export", tmp_path / "toys.yaml", "--results", results.root, "--out", tmp_path / "toys.zip")

    def write(changes):
        with zipfile.ZipFile(tmp_path / "toys.zip") as whole:
            contents = {name: whole.read(name) for name in whole.namelist()} | changes
        manifest = json.loads(contents.pop("manifest.json"))
        kept = {name: content for name, content in contents.items() if content is not None}
        ordered = [*(name for name in kept if name.startswith("trainers/")),
                   *(name for name in kept if not name.startswith("trainers/"))]  # fmt: skip
        kept = {name: kept[name] for name in ordered}
        manifest["members"] = [
            {"name": name, "size": len(content), "sha256": sha256(content)} for name, content in kept.items()
        ]
        with zipfile.ZipFile(tmp_path / "changed.zip", "w") as changed:
            for name, content in {"manifest.json": json.dumps(manifest), **kept}.items():
                changed.writestr(name, content)
        return tmp_path / "changed.zip"

    return write


def test_an_archive_that_is_written_again_unchanged_is_taken(archive, tmp_path):
    taken = command("import", archive({}), "--results", tmp_path / "other")
    assert taken.exit_code == 0, taken.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainers/toy.json": None}, "is of the trainer 'toy', which it doesn't describe"),
        ({"trainers/toy.json": b"{"}, "trainers/toy.json: is no description of a trainer"),
        (
            {"trainers/toy.json": b'{"form": 1, "says": [], "trainer": {"import": "os"}}'},
            "is no description of a trainer",
        ),
        ({"trainers/toy.json": b"[" * 100_000}, "is no description of a trainer"),
        ({"trainers/toy.json": b" " * 2**21}, "trainers/toy.json is larger than 1048576 bytes"),
        ({"trainers/other.json": "toy"}, "trainers/other.json describes the trainer 'toy'"),
        ({"trainers/..json": b"{}"}, "is not a name that an export writes"),
        ({"trainers/a/b.json": b"{}"}, "is not a name that an export writes"),
        ({"trainers/toy.py": b"raise SystemExit"}, "is not a name that an export writes"),
    ],
)
def test_an_archive_with_another_description_is_refused_whole(archive, results, tmp_path, changes, said):
    own = results.trainer("toy").read_bytes()
    refused = command(
        "import", archive({name: own if content == "toy" else content for name, content in changes.items()}),
        "--results", tmp_path / "other",
    )  # fmt: skip
    assert refused.exit_code == 2
    assert said in refused.output and "nothing was imported" in refused.output
    assert not (tmp_path / "other").exists()


def without_maml(*words):
    done = sweeper(*words, cwd=ROOT, without="trainers.maml")
    assert done.code == 0, done.err
    return done.out


@pytest.mark.slow
def test_the_orchestrator_needs_no_code_of_maml(tmp_path, results):
    file, here = write_toys(tmp_path), ("--results", results.root)
    without_maml("run", file, *here, "--executor", "inline", "--tracking-uri", "none", "--device", "cpu")
    assert json.loads(without_maml("plan", file, *here, "--json"))["trials"][0]["why"] == "done at step 4"
    without_maml("status", file, *here)
    without_maml("sync", file, *here)
    without_maml("report", file, *here, "--out", tmp_path / "report")
    assert (tmp_path / "report" / "report.html").exists()
    without_maml("export", file, *here, "--out", tmp_path / "toys.zip")
    without_maml("import", tmp_path / "toys.zip", "--results", tmp_path / "other")
    assert (tmp_path / "other" / "trainers" / "toy.json").exists()
