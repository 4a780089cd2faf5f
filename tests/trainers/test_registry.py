"""How trainers are found, and what is said of one that can't be."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from trainers import registry
from trainers.maml.trainer import MAML
from trainers.registry import find, names
from trainers.trainer import Reference, Task, TrainerError

PLUG = """
from dataclasses import dataclass
from trainers.function.decorator import trainer

@dataclass
class Config:
    steps: int = 1
    seed: int = 0

@trainer(metrics=["loss"], length="steps")
def toy(config: Config):
    yield {"loss": VALUE}
"""


@pytest.fixture(autouse=True)
def own_path(monkeypatch) -> None:
    """Leave the path of modules as it was."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def write(folder: Path, text: str = PLUG.replace("VALUE", "1.0"), name: str = "plug.py") -> Path:
    (folder / name).write_text(text)
    return folder


def refused(says: object, folder: Path) -> str:
    with pytest.raises(TrainerError) as caught:
        find(Reference(says, str(folder)))
    return str(caught.value)


def test_the_default_is_maml_and_a_file_is_found_beside_the_sweep(tmp_path) -> None:
    assert find(Reference("maml", "")) is MAML
    found = find(Reference("plug.py:toy", str(write(tmp_path))))
    assert found.name == "toy"
    assert find(Reference("plug.py:toy", str(tmp_path))) is found


def test_a_changed_file_is_read_again_and_so_is_a_file_that_it_imports(tmp_path) -> None:
    write(tmp_path, "VALUE = 1.0\n", "beside_registry.py")
    write(
        tmp_path, PLUG.replace("VALUE", "beside_registry.VALUE").replace("\nfrom", "\nimport beside_registry\nfrom", 1)
    )
    reference = Reference("plug.py:toy", str(tmp_path))
    first = find(reference)
    write(tmp_path, "VALUE = 2.0\n", "beside_registry.py")
    second = find(reference)
    assert second is not first and second.code() != first.code()
    assert [lost(one) for one in (first, second)] == [1.0, 2.0]


def lost(trainer) -> float:
    """The loss that a trial of one step measures."""
    config = trainer.resolve({})
    (chunk,) = trainer.train(Task(configs=[config], states=[trainer.begun(config)], chunk_s=60))
    return chunk.runs[0].records[0].value["loss"]


def test_two_trainers_never_share_a_file_of_one_name(tmp_path) -> None:
    for number in ("one", "two"):
        (tmp_path / number).mkdir()
        write(tmp_path / number, f"VALUE = '{number}'\n", "shared_registry.py")
        write(tmp_path / number, PLUG.replace("\nfrom", "\nimport shared_registry\nfrom", 1).replace("VALUE", "1.0"))
    find(Reference("plug.py:toy", str(tmp_path / "one")))
    said = refused("plug.py:toy", tmp_path / "two")
    assert "shared_registry.py beside it has the name of another module that is loaded already" in said


def test_an_installed_trainer_is_found_by_its_name(tmp_path, monkeypatch) -> None:
    write(tmp_path, PLUG.replace("VALUE", "1.0"), "installed_registry.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = importlib.metadata.EntryPoint("theirs", "installed_registry:toy", registry.GROUP)
    broken = importlib.metadata.EntryPoint("broken", "no_such_module:toy", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry, broken])
    assert find(Reference("theirs", "")).name == "toy"
    assert names() == ["broken", "maml", "protonet", "theirs"]
    assert refused("broken", tmp_path).startswith("broken: its entry point no_such_module:toy can't be loaded: Module")
    assert "there is no trainer 'their'; installed are broken, maml, protonet, theirs" in refused("their", tmp_path)
    assert find(Reference("installed_registry:toy", "")).name == "toy"


@pytest.mark.parametrize(
    ("text", "says", "said"),
    [
        ("", "absent.py:toy", "there is no file"),
        ("def f(:", "plug.py:toy", "can't be imported: SyntaxError"),
        ("import nowhere_at_all", "plug.py:toy", "can't be imported: ModuleNotFoundError: No module named 'nowhere"),
        ("raise SystemExit(3)", "plug.py:toy", "can't be imported: SystemExit: 3 (plug.py, line 1)"),
        ("1 / 0", "plug.py:toy", "can't be imported: ZeroDivisionError: division by zero (plug.py, line 1)"),
        (PLUG.replace("VALUE", "1.0"), "plug.py:to", "plug.py has no 'to'; its trainers are toy"),
        ("x = 1", "plug.py:toy", "plug.py has no 'toy'; its trainers are none"),
        ("x = 1", "plug.py:x", "is no trainer, because it lacks name, config, length, packable"),
        ("def x(config): ...", "plug.py:x", "`@trainer` makes a trainer of a function"),
        ("", "no_such_module:x", "can't be imported: ModuleNotFoundError"),
        ("", "no_such_module:x", "a file beside the sweep file is `file.py:OBJECT`"),
        ("", "plug.py", "there is no trainer 'plug.py'"),
    ],
)
def test_what_can_not_be_found_is_said_in_one_sentence(text, says, said, tmp_path) -> None:
    write(tmp_path, text)
    assert said in refused(says, tmp_path)
    assert "\n" not in refused(says, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('name = ""', "its name must be a printable text, got ''"),
        ('name = "maml"', "its name is 'maml', which is the default trainer's"),
        ("config = dict", "its config must be a pydantic model, got <class 'dict'>"),
        ('length = "epochs"', "its length names 'epochs', which is no field of its config"),
        ('length = "rate"', "its length names 'rate', which is not a field of whole numbers"),
        ('packable = frozenset({"lr"})', "its packable names 'lr', which is no field of its config"),
        ("metrics = {}", "its metrics is empty; name at least one number that it measures"),
        ('metrics = {"loss": "lower"}', "its metrics must map names to Metric, got 'lower' for 'loss'"),
        ("config = Seedless", "its config must have a field `seed: int`, since every trial has a seed"),
    ],
)
def test_a_trainer_that_breaks_the_protocol_is_told_which_member(change, said, tmp_path) -> None:
    text = """
from pydantic import BaseModel
from trainers.readings import ReadingsTrainer
from trainers.trainer import Metric

class Config(BaseModel):
    steps: int = 2
    rate: float = 0.1
    seed: int = 0

class Seedless(BaseModel):
    steps: int = 2

class Own(ReadingsTrainer):
    name = "own"
    config = Config
    length = "steps"
    metrics = {"loss": Metric(words="Loss")}
    CHANGE
    def train(self, task):
        yield from ()

OWN = Own()
"""
    write(tmp_path, text.replace("CHANGE", change))
    assert said in refused("plug.py:OWN", tmp_path)
