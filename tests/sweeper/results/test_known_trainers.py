"""The description of a trainer in a results folder stands for the trainer where its code is absent."""

import json

import pytest

from sweeper.planning.expand import expand
from sweeper.results.known_trainers import keep, known_trainer, sweep_in, trainer_that
from sweeper.results.paths import ResultsError
from sweeper.sweepfile.sweep import load
from tests.sweeper.plugged import PACKED, TOY, begin, write_toys
from trainers.maml.trainer import MAML
from trainers.registry import find
from trainers.trainer import DEFAULT, Reference


@pytest.fixture
def reference(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    return Reference("toy.py:TOY", str(tmp_path))


def test_a_description_knows_what_readers_need_and_imports_nothing(results, reference, tmp_path):
    keep(results, find(reference), reference)
    (tmp_path / "toy.py").unlink()
    known = known_trainer(results, "toy")
    assert (known.name, known.length, known.resumes, list(known.metrics)) == ("toy", "steps", True, ["loss", "error"])
    assert known.resolve({"rate": 0.1}).model_dump() == {"rate": 0.1, "steps": 4, "seed": 0}
    assert json.loads((results.root / "trainers/toy.json").read_text())["says"] == ["toy.py:TOY"]


def test_maml_needs_no_description(results):
    keep(results, MAML, Reference(DEFAULT, ""))
    assert not results.trainers.exists()
    assert known_trainer(results, DEFAULT) is MAML


def test_what_is_not_there_is_none(results, reference):
    assert known_trainer(results, "toy") is None
    assert trainer_that(results, reference) is None


def test_a_trainer_is_found_by_what_sweep_files_say(results, reference):
    trainer = find(reference)
    keep(results, trainer, reference)
    keep(results, trainer, Reference("package.toys:TOY", "/elsewhere"))
    for says in ("toy.py:TOY", "package.toys:TOY"):
        assert trainer_that(results, Reference(says, "/another/folder")).name == "toy"
    assert trainer_that(results, Reference("other.py:TOY", reference.folder)) is None


def test_two_trainers_of_one_reference_are_not_told_apart(results, reference, tmp_path):
    keep(results, find(reference), reference)
    (tmp_path / "toy.py").write_text(TOY.replace('"toy"', '"other"'))
    keep(results, find(reference), reference)
    assert trainer_that(results, reference) is None
    assert {known_trainer(results, name).name for name in ("toy", "other")} == {"toy", "other"}


def test_data_and_recipes_are_recalled_from_the_trials_that_noted_them(results, reference):
    keep(results, find(reference), reference)
    begin(results, config={"rate": 0.25}, recipe={"draws": 1}, digest="a" * 64, dataset="shapes")
    begin(results, config={"rate": 0.25}, recipe={"draws": 2}, digest="b" * 64, dataset="shapes", trial_id="2" * 16)
    begin(results, config={"rate": 0.5}, recipe={"order": 3}, trial_id="3" * 16)
    begin(results, trainer="other", config={"rate": 1.0}, recipe={"draws": 9}, trial_id="4" * 16)
    (results.root / "trials" / "5" / "journal.jsonl").parent.mkdir()
    (results.root / "trials" / "5" / "journal.jsonl").write_bytes(b"rubbish\n")
    known = trainer_that(results, reference)
    noted = known.resolve({"rate": 0.25, "steps": 99, "seed": 7})
    assert (known.recipe(noted), known.dataset(noted), known.digest("shapes")) == ({"draws": 2}, "shapes", "b" * 64)
    assert known.recipe(known.resolve({"rate": 0.5})) == {"order": 3}
    unknown = known.resolve({"rate": 1.0})
    assert (known.recipe(unknown), known.dataset(unknown), known.digest("")) == ({}, "", "")


def test_a_plan_of_what_is_done_knows_the_trials_of_a_trainer_with_a_recipe(results, tmp_path):
    code = PACKED.replace(
        "    def train(", '    def recipe(self, config):\n        return {"draws": 2}\n\n    def train('
    )
    file = write_toys(tmp_path, code)
    sweep = load(file)
    keep(results, sweep.trainer, sweep.reference)
    planned = expand(sweep)
    for spec in planned:
        config = spec.config.model_dump()
        begin(results, trainer="own", trial_id=spec.trial_id, config=config, recipe={"draws": 2})
    (tmp_path / "toy.py").unlink()
    assert [spec.trial_id for spec in expand(sweep_in(file, results))] == [spec.trial_id for spec in planned]


def test_the_same_description_is_not_written_again(results, reference):
    trainer = find(reference)
    keep(results, trainer, reference)
    path = results.trainer("toy")
    path.chmod(0o444)
    before = path.stat().st_ino
    keep(results, trainer, reference)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("name", ["../../outside", "a/b", "Toy", ".hidden", "x" * 300, "näme", "toy.json"])
def test_any_name_has_a_file_of_its_own_inside_the_folder(results, name):
    path = results.trainer(name)
    assert path.parent == results.trainers
    assert path != results.trainer("toy") and len(path.name) < 80


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b'{"form": 2}', b'{"form": 1, "says": 1, "trainer": {}}', b"\xff"]
)
def test_a_damaged_description_is_told_with_what_to_do(results, content):
    results.trainers.mkdir(parents=True)
    results.trainer("toy").write_bytes(content)
    with pytest.raises(ResultsError, match=r"toy.json: is no description of a trainer .*delete it"):
        known_trainer(results, "toy")
