import re
import shutil
import subprocess

import pytest

from analysis.errors import AnalysisError
from analysis.figures import printed
from analysis.figures.differences import draw_differences
from analysis.figures.layout import COLUMN_OF_PAGE, Sheet
from tests.analysis.figures.test_differences import info_of
from tests.analysis.judging.test_claims import STEPS_DO_NOT, STEPS_MATTER

INCH = 72
with_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, which isn't installed")
DOCUMENT = r"\documentclass{article}\usepackage{pgf}\begin{document}\input{figure.pgf}\end{document}"


def sheet() -> Sheet:
    return draw_differences(info_of([STEPS_MATTER, STEPS_DO_NOT]), printed=True)


@with_latex
def test_a_printed_figure_is_as_wide_as_a_column_and_has_neither_question_nor_footer() -> None:
    drawn = sheet()
    texts = [text.get_text() for text in drawn.texts]
    files = printed.encode_printed(drawn, "sweep x")
    width, height = map(float, re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", files["pdf"]).groups())
    assert width == pytest.approx(INCH * COLUMN_OF_PAGE, abs=0.1)
    assert height == pytest.approx(INCH * (drawn.get_size_inches()[1] - drawn.head - drawn.foot), abs=0.1)
    pgf = files["pgf"].decode()
    assert all(text.split("\n")[0] not in pgf for text in texts)
    assert r"points, 90 \%}}" in pgf  # a sign that would be a comment, at the end of a line


@with_latex
def test_latex_compiles_the_pgf_picture(tmp_path) -> None:
    (tmp_path / "figure.pgf").write_bytes(printed.encode_printed(sheet(), "")["pgf"])
    (tmp_path / "main.tex").write_text(DOCUMENT)
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"], cwd=tmp_path, capture_output=True
    )
    assert made.returncode == 0, made.stdout.decode(errors="replace")[-2000:]


def test_without_latex_the_style_is_refused_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(printed, "SYSTEMS", ("latex-that-is-not-there",))
    with pytest.raises(AnalysisError, match=r"--style paper: LaTeX measures .* install one of them"):
        printed.encode_printed(sheet(), "")
