"""Who may import what: each outside engine in one place, and the quick commands without any of them."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

ALLOWED = {  # a folder stands for every file in it
    "ray": ("sweeper/executors/ray/",),
    "mlflow": ("sweeper/tracking/mlflow_tracker.py", "analysis/store.py"),
    "optuna": ("sweeper/search/optuna_asks.py",),
    "matplotlib": ("analysis/figures/", "analysis/maml/", "analysis/report/pictures.py"),
    "seaborn": ("analysis/figures/style.py",),
}


@functools.cache
def imported(path: Path) -> set[str]:
    """Return the top-level packages that a module imports anywhere in it, by statement."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def modules() -> list[Path]:
    return [path for package in ("trainers", "sweeper", "analysis") for path in (ROOT / package).rglob("*.py")]


@pytest.mark.slow
@pytest.mark.parametrize("package", ALLOWED)
def test_an_outside_engine_is_imported_in_its_own_files_alone(package):
    users = {str(path.relative_to(ROOT)) for path in modules() if package in imported(path)}
    assert {user for user in users if not user.startswith(ALLOWED[package])} == set()


def test_click_and_rich_stay_in_the_command_line():
    for path in modules():
        if not str(path.relative_to(ROOT)).startswith("sweeper/cli/"):
            assert not imported(path) & {"click", "rich"}, path


HEAVY = ("torch", "ray", "mlflow", "click", "pandas", "matplotlib", "scipy")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import trainers", HEAVY),
        ("import sweeper", (*HEAVY, "numpy", "pydantic", "trainers", "analysis")),
        ("import trainers.maml.config, trainers.data.catalog, trainers.maml.recipe", HEAVY),
        pytest.param(
            "import trainers.maml.train, trainers.maml.checkpoints.checkpoint",
            ("ray", "mlflow", "click", "pandas", "sweeper", "analysis"),
            marks=pytest.mark.slow,  # torch itself
        ),
        (
            "import sweeper.planning.expand, sweeper.results.survey, sweeper.running.session",
            ("torch", "ray", "mlflow", "click", "pandas"),
        ),
        pytest.param(
            "import analysis.report.sweep_report",
            ("torch", "ray", "click", "mlflow", "trainers"),
            marks=pytest.mark.slow,  # pandas and matplotlib
        ),
        ("import sweeper.cli.plan, sweeper.cli.status", ("torch", "ray", "mlflow", "pandas")),
        ("import sys; sys.argv = ['sweeper', '--help']; import sweeper.cli\n"
         "try: sweeper.cli.main()\nexcept SystemExit: pass", ("torch", "ray", "mlflow", "pandas", "numpy", "pydantic")),
    ],
)  # fmt: skip
def test_loading_a_part_leaves_what_it_does_not_need_unloaded(statement, absent):
    program = f"import sys\n{statement}\nprint('loaded:', *sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = done.stdout.rpartition("loaded:")[2].split()
    assert not set(loaded) & set(absent)
