"""The look of figures and their encoding: one rc dict; one colour, marker and dash per line; files without dates.

Lines differ in marker and dash as well as in colour (seaborn's "colorblind" palette), so a grey print is readable.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import NamedTuple

import matplotlib
import seaborn
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from matplotlib.typing import ColorType, LineStyleType

RC = {
    **seaborn.axes_style("ticks"),
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "grid.linewidth": 0.5,
    "grid.color": "0.9",
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.title_fontsize": 8,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",  # the same picture without DejaVu installed
    "svg.hashsalt": "figure",
    "savefig.dpi": 300,
    "text.parse_math": False,  # a label is plain text, even with dollar signs
    "text.usetex": False,
}
PRINTED = RC | dict.fromkeys(("axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize"), 8)
"""The look of a figure in a paper: letters of 8 points."""
GREY = "0.35"
HEAT = "cividis"  # even steps of lightness; looks the same to colour-blind readers
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[LineStyleType, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (1.2, 1.2)),
    (0, (6, 1.4, 1.2, 1.4)),
    (0, (3, 1, 1, 1, 1, 1)),
)


class Look(NamedTuple):
    """The look of one line."""

    colour: ColorType
    marker: str
    dash: LineStyleType


def looks(count: int) -> list[Look]:
    """Return `count` looks; the first 35 differ even without colour."""
    colours = seaborn.color_palette("colorblind", max(count, 1))
    endless = zip(cycle(colours), cycle(MARKERS), cycle(DASHES), strict=False)
    return [Look(colour, marker, dash) for colour, marker, dash in islice(endless, count)]


def encode(figure: Figure, provenance: str) -> dict[str, bytes]:
    """Return the figure as "png", "pdf" and "svg" with `provenance` in the metadata; same figure, same bytes."""
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Description": provenance},
        "pdf": {"CreationDate": None, "Subject": provenance},
        "svg": {"Date": None, "Description": provenance},
    }
    with matplotlib.rc_context(RC):
        return {kind: _encoded(figure, kind, entries) for kind, entries in metadata.items()}


def cropped(figure: Figure, head: float, foot: float, provenance: str) -> bytes:
    """Return the figure as SVG without its own texts, `head` and `foot` inches lower: the page prints them itself."""
    with matplotlib.rc_context(RC), _without_texts(figure):
        return _encoded(figure, "svg", {"Date": None, "Description": provenance}, _inside(figure, head, foot))


def cropped_pdf(figure: Figure, head: float, foot: float, provenance: str) -> bytes:
    """Return the figure as PDF without its own texts, as `cropped` does."""
    with matplotlib.rc_context(PRINTED), _without_texts(figure):
        metadata = {"CreationDate": None, "Subject": provenance}
        return _encoded(figure, "pdf", metadata, _inside(figure, head, foot))


def cropped_pgf(figure: Figure, head: float, foot: float, system: str) -> bytes:
    """Return the figure as drawing commands for LaTeX without its own texts, as `cropped` does.

    `system` is the LaTeX that measures the letters: pdflatex, lualatex or xelatex. All text must be LaTeX. The
    fonts are those of the document. Raises RuntimeError if that LaTeX fails.
    """
    fonts = {"pgf.texsystem": system, "pgf.rcfonts": False}
    with matplotlib.rc_context(PRINTED | fonts), _without_texts(figure):
        return _encoded(figure, "pgf", {}, _inside(figure, head, foot))


def _inside(figure: Figure, head: float, foot: float) -> Bbox:
    width, height = figure.get_size_inches()
    return Bbox([[0, foot], [width, height - head]])


@contextmanager
def _without_texts(figure: Figure) -> Iterator[None]:
    for text in figure.texts:
        text.set_visible(False)
    try:
        yield
    finally:
        for text in figure.texts:
            text.set_visible(True)


def _encoded(figure: Figure, kind: str, metadata: dict[str, str | None], box: Bbox | None = None) -> bytes:
    file = io.BytesIO()
    if kind == "pgf":  # it has no metadata
        figure.savefig(file, format=kind, bbox_inches=box)
    else:
        figure.savefig(file, format=kind, metadata=metadata, bbox_inches=box)
    return file.getvalue()
