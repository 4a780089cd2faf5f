"""Who may import what: each outside engine in one place, and the quick commands without any of them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ALLOWED = {
    "ray": {"sweeper/ray_daemons.py", "sweeper/ray_nodes.py", "sweeper/ray_tune.py"},
    "mlflow": {"sweeper/tracking.py", "analysis/load.py"},
    "matplotlib": {
        f"analysis/{name}.py"
        for name in ("curves", "feature_space", "figures", "heatmaps", "layout", "lines", "pictures", "shares", "style")
    },
    "seaborn": {"analysis/figures.py", "analysis/style.py"},
}


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


@pytest.mark.parametrize("package", ALLOWED)
def test_an_outside_engine_is_imported_in_its_own_files_alone(package):
    users = {str(path.relative_to(ROOT)) for path in modules() if package in imported(path)}
    assert users <= ALLOWED[package]


def test_click_and_rich_stay_in_the_command_line():
    for path in modules():
        if not str(path.relative_to(ROOT)).startswith("sweeper/cli/"):
            assert not imported(path) & {"click", "rich"}, path


HEAVY = ("torch", "ray", "mlflow", "click", "pandas", "matplotlib", "scipy")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import trainers", HEAVY),
        ("import trainers.config, trainers.catalog, trainers.recipe", HEAVY),
        ("import trainers.train, trainers.checkpoint", ("ray", "mlflow", "click", "pandas", "sweeper", "analysis")),
        ("import sweeper.plan, sweeper.survey, sweeper.session", ("torch", "ray", "mlflow", "click", "pandas")),
        ("import analysis.report", ("torch", "ray", "click", "mlflow", "trainers")),
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
