"""What `network:` takes, and the hash of the code that it names: without running any of it."""

import pytest

from trainers.maml.config import resolve
from trainers.maml.network_code import hash_of
from trainers.maml.network_names import checked_name, located
from trainers.maml.recipe import recipe_of
from trainers.maml.trainer import MAML, MamlTrainer
from trainers.trainer import ConfigError


@pytest.mark.parametrize(
    "name",
    ["conv4_strided", "resnet12", "mlp", "net.py:small", "../nets/net.py:Small", "my nets/net.py:s", "lab.nets:f"],
)
def test_a_name_is_taken_as_it_is(name):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet", "unknown network 'resnet'; did you mean 'resnet12'?"),
        ("conv4", "unknown network 'conv4'; choose from conv4_strided, conv4_pooled, resnet12, mlp"),
        ("conv4_pool", "did you mean 'conv4_pooled'?"),
        ("vit", "choose from conv4_strided, conv4_pooled, resnet12, mlp"),
        ("net.py", "name the function in it, as in net.py:FUNCTION"),
        ("", "unknown network ''"),
        ("net.py:", "'' is no name of a function"),
        ("net.py:a b", "'a b' is no name of a function"),
        (":net", "'' is neither a Python file nor a module"),
        ("a-b:net", "'a-b' is neither a Python file nor a module"),
        ("a..b:net", "'a..b' is neither a Python file nor a module"),
        ("a\nb.py:net", "is neither a Python file nor a module"),
        ("x" * 300 + ":net", "at most 250 are allowed"),
    ],
)
def test_another_name_is_refused_with_the_nearest_one(name, said):
    with pytest.raises(ConfigError) as caught:
        resolve({"dataset": "strokes", "network": name})
    (problem,) = caught.value.problems
    assert problem.field == "network" and said in problem.message


def test_a_file_is_seen_from_the_folder_of_the_sweep(tmp_path):
    config = resolve({"dataset": "strokes", "network": "net.py:small"})
    assert located(config, str(tmp_path)).network == f"{tmp_path}/net.py:small"
    assert located(config, "").network == "net.py:small"
    module = resolve({"dataset": "strokes", "network": "lab.nets:small"})
    assert located(module, str(tmp_path)) is module


def test_the_hash_follows_the_file_and_what_it_imports(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text("import parts\nraise RuntimeError('it is not run')\n")
    (tmp_path / "parts.py").write_text("x = 1\n")
    first = hash_of(f"{tmp_path}/net.py:small")
    (tmp_path / "parts.py").write_text("x = 2\n")
    second = hash_of(f"{tmp_path}/net.py:small")
    assert len(first) == 16 and first != second
    assert hash_of(f"{tmp_path}/net.py:other") == second
    assert hash_of(f"{tmp_path}/absent.py:small") == ""
    package = tmp_path / "lab_of_networks" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('it is not run')\n")
    (package / "nets.py").write_text("from lab_of_networks.inner import parts\n")
    (package / "parts.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    name = "lab_of_networks.inner.nets:small"
    first = hash_of(name)
    (package / "parts.py").write_text("x = 1\n")
    assert len(first) == 16 and hash_of(name) != first
    assert hash_of("lab_of_networks.absent:f") == hash_of("no_such_module:f") == hash_of("builtins:f") == ""


def test_a_trainer_with_a_folder_names_the_code_and_one_without_runs_nothing(tmp_path):
    config = resolve({"dataset": "strokes", "network": "net.py:small"})
    (tmp_path / "net.py").write_text("")
    trainer = MamlTrainer(str(tmp_path))
    code = trainer.named_code(config)
    assert code is not None and (code.of, len(code.hash)) == ("network net.py:small", 16)
    (tmp_path / "net.py").write_text("x = 1\n")
    assert trainer.named_code(config) == code  # as it was when it was first asked for
    assert MamlTrainer(str(tmp_path)).named_code(config) != code
    assert MAML.named_code(config) is None and list(MAML.named_faults(config)) == []
    assert trainer.named_code(resolve({"dataset": "strokes", "network": "mlp"})) is None


def test_only_another_network_than_conv4_is_in_the_recipe():
    for network, entry in (("conv4_pooled", set()), ("resnet12", {"resnet12"}), ("net.py:f", {"own_network"})):
        used = recipe_of(resolve({"dataset": "strokes", "network": network, "order": "first"}))
        assert set(used) - {"core", "strokes"} == entry
