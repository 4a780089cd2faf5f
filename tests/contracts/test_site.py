"""The site builds without a warning, needs no other host, and its references hold every command and every field."""

import csv
import html
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from sweeper.cli import main
from tests.contracts.test_docs import blocks
from tests.forks import fork
from tests.places import ROOT
from tests.waiting import HANG_S
from trainers.maml.config import TrialConfig

pytestmark = pytest.mark.slow  # one build takes seconds

EVIDENCE = ROOT / "sweeps" / "evidence"
VERDICT = re.compile(r"reproduced|reversed|negligible|inconclusive|not enough seeds")
EFFECT = re.compile(r"[+-][\d.]+(?: ± [\d.]+| points, 90 % interval [+-][\d.]+ to [+-][\d.]+| points)")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def words(page: Path) -> str:
    """The text of a page as a reader sees it, with one blank wherever there is white space."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


def every_command(command: click.Command = main, path: str = "sweeper") -> dict[str, click.Command]:
    """Every command by its full name, groups and what they hold."""
    inner = {}
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner |= every_command(command.get_command(click.Context(command), name), f"{path} {name}")
    return {path: command, **inner}


@pytest.mark.parametrize("path", every_command())
def test_a_command_is_on_the_site_with_its_usage_help_and_options(site, path):
    text = words(site / "cli.html")
    command = every_command()[path]
    assert f"{path} [OPTIONS]" in text
    for paragraph in command.help.replace("\b", "").replace("`", "").split("\n\n"):
        assert " ".join(paragraph.split()) in text
    for option in (option for option in command.params if not getattr(option, "hidden", False)):
        assert all(name in text for name in option.opts if name.startswith("--"))
        assert " ".join((getattr(option, "help", None) or "").split()) in text


def test_every_config_field_is_on_the_site_with_its_default_and_meaning(site):
    text = words(site / "config.html")
    for name, field in TrialConfig.model_fields.items():
        assert f'id="{name}"' in (site / "config.html").read_text(encoding="utf-8")
        description = field.description or "the data set"
        assert description[1:] in text
    assert "whole number from 2; default 5" in text  # ways
    assert "number above 0; default 1e-05" in text  # bn_eps
    assert "one of all, head or null; default null" in text  # eval_adapts


def test_formulas_are_on_the_site_as_mathml(site):
    source = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    page = (site / "theory.html").read_text(encoding="utf-8")
    blocks_of_maths, inside_lines = source.count("```math\n"), source.count("$`")
    assert blocks_of_maths > 10
    assert page.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == blocks_of_maths
    assert page.count("<math ") == blocks_of_maths + inside_lines
    assert "$<code>" not in page
    assert not re.search(r"\\(?:frac|dot|mathbb|theta)", page)  # no LaTeX is left over


def test_a_keyboard_reaches_what_scrolls_and_the_search_has_a_name(site):
    """What axe-core found, of that which is in the pages themselves; site.js does the rest in the browser."""
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        if 'class="md-typeset"' not in page and "md-search" not in page:
            continue  # a report, which is copied
        assert 'role="dialog" aria-label="Search"' in page, path
        assert not re.search(r"<pre>(<span></span>)?<code|<th[^>]*></th>|<div class=\"formula\">", page), path
    assert "site.js" in (site / "index.html").read_text(encoding="utf-8") and (site / "site.js").exists()


def test_no_page_loads_anything_from_another_host(site):
    loading = re.compile(
        r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//[^>]*>|url\(["']?https?:"""
    )
    for path in site.rglob("*"):
        if path.suffix in (".html", ".css"):
            assert not loading.search(path.read_text(encoding="utf-8")), path


def test_the_python_of_the_notebook_page_runs_on_the_results_of_the_tutorial(tmp_path, monkeypatch):
    """Its sweep, made so small that it trains in a moment."""
    monkeypatch.chdir(tmp_path)
    (given,) = blocks("tutorial.md", "yaml")
    sweep = YAML(typ="safe", pure=True).load(given)
    sweep["fixed"] |= {"outer_steps": 2, "eval_every": 1, "eval_episodes": 2, "channels": 2, "meta_batch_size": 1}
    sweep |= {"seeds": 2, "matrix": sweep["matrix"] | {"inner_lr": [0.4]}}
    Path("inner_lr.yaml").write_text(json.dumps(sweep), encoding="utf-8")
    for command in (["run", "--executor", "inline", "--device", "cpu"], ["report", "--format", "csv"]):
        ran = CliRunner().invoke(main, [*command, "inner_lr.yaml"])
        assert ran.exit_code == 0, ran.output
    code = "\n".join(blocks("notebook.md", "python"))
    shown = "print(len(ends), len(verdicts), list(grown.index), len(spread), len(todo), type(figure).__name__)\n"
    shown += "print(len(trials), summary.shape, sorted(curve), len(record), len(seeds), 0 < best['mean'] < 1)"
    out, err = fork(f"{code}\n{shown}", [], cwd=tmp_path, env=os.environ).communicate(timeout=HANG_S)
    ours, theirs = out.split("\n")[-3:-1]
    assert ours == "4 1 [1, 2] 8 0 NotebookFigure", err
    assert theirs.startswith("4 (1, 3) [1, 2] "), err
    assert out.endswith(" 2 True\n")


def test_the_notebook_runs_on_the_results_of_the_quickstart(tmp_path):
    """The shipped sweep, made so small that it trains in a moment, in the place of the whole."""
    sweep = YAML(typ="safe", pure=True).load((ROOT / "sweeps" / "quickstart.yaml").read_text(encoding="utf-8"))
    sweep["fixed"] |= {"outer_steps": 2, "eval_every": 1, "eval_episodes": 2, "channels": 2, "meta_batch_size": 1}
    (tmp_path / "quickstart").write_text(json.dumps(sweep), encoding="utf-8")  # comes before the shipped sweep
    where = ["--results", str(tmp_path / "results"), "--executor", "inline", "--device", "cpu"]
    ran = CliRunner().invoke(main, ["run", str(tmp_path / "quickstart"), *where])
    assert ran.exit_code == 0, ran.output
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in code)
    pictures = [output for cell in code for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert len(pictures) == 1
    program = "\n".join("".join(cell["source"]) for cell in code)
    process = fork(program, [], cwd=tmp_path, env=os.environ)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    assert out == "table(1): the report of this sweep has 1 table, counted from 0\n"


def test_the_page_of_the_paper_has_every_claim_with_our_verdict_and_that_on_the_authors_seeds(site):
    text = words(site / "paper.html")
    rows = _claims(EVIDENCE / "authors" / "claims.csv")
    assert len(rows) > 70
    for row in rows:
        assert " ".join(row["claim"].split()) in text, row["claim"]
    claim = "With the head as trained, the zeroing trick raises 5-shot accuracy over a random head."
    assert f"{claim} Fig. 14 reproduced, +8.1 ± 3.0 points (n = 3), 300 outer steps, omniglot_basic @ cpu; " in text
    again = "reproduced, +7.8 ± 2.5 points (n = 3), 300 outer steps, omniglot_basic @"
    assert f"{again} epyc; {again} second +7.4 ± 2.4 points" in text  # two profiles of as many outer steps
    first, second = "inconclusive, +0.024 ± 0.039 (n = 4)", "reproduced, +0.033 ± 0.028 (n = 4)"
    assert f"{first}, 101 outer steps, cosine_similarity @ cpu; {second}" in text  # one profile on two machines
    longest = "3,000 outer steps, omniglot_basic @ length"  # not @ cpu
    assert f"Fig. 14 reproduced, +4.9 ± 1.0 points (n = 3), {longest} reproduced" in text
    assert "omniglot_basic-cpu/report.html" in (site / "paper.html").read_text(encoding="utf-8")


def test_of_several_reports_those_with_the_most_outer_steps_count_whatever_their_names(tmp_path):
    """A profile `second` of 300 outer steps comes after `length` in the alphabet, and does not replace its 3,000."""
    reports = {
        "authors": ("", "'+3.0 ± 0.5 points (n = 4)"),
        "a-cpu": ("300", "'+7.0 ± 1.0 points (n = 3); authors: +6.0 points (n = 4)"),
        "a-length": ("3,000", "'+2.0 ± 1.0 points (n = 3); authors: +3.0 points (n = 4)"),
        "a-once_more": ("3,000", "'+2.1 ± 1.0 points (n = 3); authors: +3.0 points (n = 4)"),
        "a-second": ("300", "'+7.1 ± 1.0 points (n = 3); authors: +6.0 points (n = 4)"),
    }
    for name, (steps, numbers) in reports.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "claims.csv").write_text(
            f"sweep,claim,source,numbers,verdict\na,It helps.,Fig. 1,{numbers},reproduced\n"
        )
        (folder / "report.md").write_text(f"| outer_steps | {steps} | a.yaml:3 |\n")
    hook = runpy.run_path(str(ROOT / "docs" / "hooks" / "claims.py"))
    row = hook["claims_table"](tmp_path).splitlines()[-1]
    length, again = ("[a @ length](../sweeps/evidence/a-length", "[a @ once_more](../sweeps/evidence/a-once_more")
    assert row == (
        f"| It helps. | Fig. 1 | reproduced, +2.0 ± 1.0 points (n = 3), 3,000 outer steps, {length}/report.md); "
        f"reproduced, +2.1 ± 1.0 points (n = 3), 3,000 outer steps, {again}/report.md) | +3.0 points (n = 4) "
        "| reproduced, +3.0 ± 0.5 points (n = 4) |"
    )


def test_every_effect_of_the_short_table_of_claims_is_in_a_report():
    """The table is kept by hand, for those who read the page where no site is built."""
    effects = set(re.findall(r"[+-]\d+\.\d+ ± \d+\.\d+", _short_table()))
    assert len(effects) > 30
    reports = "".join(path.read_text(encoding="utf-8") for path in EVIDENCE.glob("*/claims.csv"))
    assert not {effect for effect in effects if effect not in reports}


def test_every_row_of_the_short_table_of_claims_has_its_claim_in_a_report():
    """A claim of the report it links has the row's figure, verdict and effect, and so has one on the authors' seeds."""
    rows = [line.strip("| ").split(" | ") for line in _short_table().splitlines() if "Fig" in line]
    assert len(rows) > 30
    theirs = _claims(EVIDENCE / "authors" / "claims.csv")
    for says, figure, our_verdict, _, their_verdict in rows:
        label, report = re.fullmatch(r"\[(.+)\]\(\.\./sweeps/evidence/([\w-]+)/report\.md\)", figure).groups()
        assert _has_its_claim(label, our_verdict, _claims(EVIDENCE / report / "claims.csv")), (says, our_verdict)
        if their_verdict != "not measured":
            assert _has_its_claim(label, their_verdict, theirs), (says, their_verdict)


def _short_table() -> str:
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    return text.partition("## What our runs say")[2].partition("Each report lists")[0]


def _claims(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _has_its_claim(figure: str, cell: str, claims: list[dict[str, str]]) -> bool:
    """Whether a claim about the row's figure, or of the abstract, has the first verdict and effect of its cell."""
    place, verdict, effect = re.search(r"abstract|\d+", figure)[0], VERDICT.search(cell)[0], EFFECT.search(cell)[0]
    return any(
        re.search(rf"(^|Figs?\.[^;]*\b){place}\b", claim["source"])
        and claim["verdict"] == verdict
        and claim["numbers"].lstrip("'").startswith(effect)
        for claim in claims
    )
