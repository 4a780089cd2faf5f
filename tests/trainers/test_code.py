"""The hash of a plug's code: it follows the files that the plug imports from its own folder, and no others."""

import sys

import pytest

from trainers.code import closure, code_of, code_of_module


@pytest.fixture
def lab(tmp_path):
    files = {
        "train.py": "import models.net\nfrom tools import draw\nimport json, os.path\n",
        "tools.py": "def draw():\n    import late\n",
        "late.py": "",
        "unused.py": "",
        "models/__init__.py": "from . import layers\n",
        "models/net.py": "from .layers import conv\nfrom ..tools import draw\nfrom models.heads import *\n",
        "models/layers.py": "import models.net\n",
        "models/heads.py": "import broken\n",
        "models/unused.py": "",
        "broken.py": "def (:\n",
        "json.py": "import unused\n",
    }
    for name, text in files.items():
        path = tmp_path / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "outside.py").write_text("", encoding="utf-8")
    return tmp_path / "lab"


def test_imports_are_followed_inside_the_folder(lab):
    (lab / "json.py").unlink()
    found = {path.relative_to(lab).as_posix() for path in closure([lab / "train.py"], lab)}
    models = {"models/__init__.py", "models/net.py", "models/layers.py", "models/heads.py"}
    assert found == {"train.py", "tools.py", "late.py", "broken.py"} | models


def test_a_file_beside_hides_a_library(lab):
    found = {path.name for path in closure([lab / "train.py"], lab)}
    assert {"json.py", "unused.py"} <= found


@pytest.mark.parametrize("name", ["train.py", "tools.py", "late.py", "models/heads.py", "models/__init__.py"])
def test_a_change_of_a_file_that_is_imported_changes_the_hash(lab, name):
    before = code_of([lab / "train.py"], lab)
    assert len(before) == 16
    with (lab / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert code_of([lab / "train.py"], lab) != before


def test_a_change_of_another_file_or_of_the_folder_s_place_changes_nothing(lab):
    before = code_of([lab / "train.py"], lab)
    (lab / "models" / "unused.py").write_text("x = 1\n", encoding="utf-8")
    moved = lab.rename(lab.with_name("moved"))
    assert code_of([moved / "train.py"], moved) == before


def test_a_module_of_a_package_is_hashed_with_its_siblings(tmp_path):
    package = tmp_path / "group" / "plugs"
    package.mkdir(parents=True)
    (package / "plug.py").write_text("from group.plugs import inner\nfrom . import other\n", encoding="utf-8")
    for name in ("inner", "other"):
        (package / f"{name}.py").write_text("", encoding="utf-8")
    before = code_of_module("group.plugs.plug", str(package / "plug.py"))
    for name in ("inner", "other"):
        (package / f"{name}.py").write_text("x = 1\n", encoding="utf-8")
        now = code_of_module("group.plugs.plug", str(package / "plug.py"))
        assert now != before
        before = now


def test_what_can_not_be_read_has_a_hash_too(tmp_path):
    assert len(code_of([tmp_path / "absent.py"], tmp_path)) == 16
    (tmp_path / "binary.py").write_bytes(b"\x00\xff")
    (tmp_path / "deep.py").write_text("(" * 5000, encoding="utf-8")
    assert len(code_of([tmp_path / "binary.py", tmp_path / "deep.py"], tmp_path)) == 16
    assert code_of_module("__main__", None) == ""
    assert code_of_module("builtins", getattr(sys, "__file__", None)) == ""


def test_an_import_far_above_the_root_is_no_trouble(tmp_path):
    (tmp_path / "plug.py").write_text(f"from {'.' * 200} import x\nfrom . import *\n", encoding="utf-8")
    assert closure([tmp_path / "plug.py"], tmp_path) == {tmp_path / "plug.py"}
