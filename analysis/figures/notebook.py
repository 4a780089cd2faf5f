"""Figures that a notebook shows without pyplot. Draws nothing itself."""

import io

import matplotlib
from matplotlib.figure import Figure

from analysis.figures.style import RC

DPI = 120  # of the picture in the notebook; `savefig` writes with that of reports


class NotebookFigure(Figure):
    """A figure that IPython shows at the end of a cell: it asks for `_repr_png_`."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        with matplotlib.rc_context(RC):
            self.savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def for_notebook(figure: Figure) -> NotebookFigure:
    """Return the same figure, which a notebook now shows."""
    figure.__class__ = NotebookFigure
    assert isinstance(figure, NotebookFigure)
    return figure
