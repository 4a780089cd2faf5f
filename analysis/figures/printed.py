"""Figures for a paper: the panels alone, as wide as a column, as PDF and as drawing commands for LaTeX (PGF)."""

import shutil
from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from analysis.errors import AnalysisError
from analysis.figures.layout import Sheet
from analysis.figures.style import cropped_pdf, cropped_pgf
from analysis.pages.latex import latex_text

SYSTEMS = ("pdflatex", "lualatex", "xelatex")


def encode_printed(figure: Sheet, provenance: str) -> dict[str, bytes]:
    """Return a figure that was drawn for a paper as "pdf" and "pgf", without its question and footer.

    A PGF picture takes the fonts of the document and needs `\\usepackage{pgf}`. Its letters are measured by LaTeX, so
    AnalysisError is raised where none is installed.
    """
    system = next(filter(shutil.which, SYSTEMS), None)
    if system is None:
        raise AnalysisError(
            f"--style paper: LaTeX measures the letters of a PGF picture, and none of {', '.join(SYSTEMS)} is on the "
            "PATH; install one of them, or leave out --style paper"
        )
    pdf = cropped_pdf(figure, figure.head, figure.foot, provenance)
    _to_latex(figure)
    try:
        return {"pdf": pdf, "pgf": cropped_pgf(figure, figure.head, figure.foot, system)}
    except RuntimeError as error:
        raise AnalysisError(f"--style paper: {system} failed: {str(error).splitlines()[0]}") from None


def _to_latex(figure: Sheet) -> None:
    """Escape every text of `figure` for LaTeX."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _escape_ticks(axis)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text("\n".join(map(latex_text, text.get_text().split("\n"))))


def _escape_ticks(axis: Axis) -> None:
    axis.set_major_formatter(_Escaped(axis.get_major_formatter()))
    axis.set_minor_formatter(_Escaped(axis.get_minor_formatter()))


class _Escaped(Formatter):
    """The labels of another formatter, escaped for LaTeX."""

    def __init__(self, given: Formatter) -> None:
        self._given = given

    def __call__(self, x: float, pos: int | None = None) -> str:
        return latex_text(self._given(x, pos))

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return [latex_text(label) for label in self._given.format_ticks(list(values))]
