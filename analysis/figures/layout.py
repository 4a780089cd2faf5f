"""The layout of a figure: question on top, legend, a grid of panels, footer. All lengths are in inches.

It doesn't use matplotlib's layout solvers: they round differently from call to call, and the same info must give the
same bytes.
"""

import math
import textwrap
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, ScalarFormatter
from matplotlib.typing import ColorType

from analysis.figures.style import GREY, Look
from analysis.numbers.bounds import Bounds

LEFT, RIGHT = 0.08, 0.2  # left margin of the texts, right margin of the panels: half a tick label of six digits
LETTER = 0.064  # mean width of a letter in the legend
KEY = 0.62  # width of a legend's key with the gap after its label
FOOT_LINE = 0.14  # one line of the footer
EDGE = 0.56  # left of the first column, for tick labels and an axis title of one line
COLUMN_GAP = 0.42  # between two columns, for tick labels
TITLE_LINE = 0.14  # more for each further line of that title
TICKS_UPWARD = 6  # about as many ticks has a vertical axis
POWER_LETTERS = 7  # of the longest tick label with a power of ten
COLUMN_OF_PAGE, WIDTH_OF_PAGE = 3.25, 6.75  # of a conference paper
UPRIGHT = 17  # letters of an axis title along one inch of a panel's height


class Note(NamedTuple):
    """A value that a page shows under the pointer: its point in the data of `axes`, and its `text`."""

    axes: Axes
    x: float
    y: float
    text: str


class Sheet(Figure):
    """A figure of a report, with the text below its panels and the values that a page shows under the pointer.

    `head` and `foot` are the heights of the title and of the text below, in inches.
    """

    def __init__(self, width: float, height: float, footer: str, head: float, foot: float) -> None:
        super().__init__(figsize=(width, height))
        self.footer, self.head, self.foot = footer, head, foot
        self.notes: list[Note] = []


def note(axes: Axes, x: float, y: float, text: str) -> None:
    """Let a page show `text` at a point of the data."""
    sheet = axes.figure
    assert isinstance(sheet, Sheet), "lay_out makes every figure"
    sheet.notes.append(Note(axes, x, y, text))


class Grid(NamedTuple):
    """`panels` of equal width and `height`, filled row by row into `width`, each with a title above."""

    panels: int
    columns: int
    width: float
    height: float = 1.7
    edge: float = EDGE  # left of the first column
    title: float = 0.24
    row_gap: float = 0.16
    column_gap: float = COLUMN_GAP
    foot: float = 0.55  # between the last row and the footer, for tick labels and an axis title

    @property
    def rows(self) -> int:
        """Number of rows; the last row may be short."""
        return math.ceil(self.panels / self.columns)

    @property
    def panel_width(self) -> float:
        """Width of one panel."""
        return (self.width - self.edge - RIGHT - (self.columns - 1) * self.column_gap) / self.columns


def usual_width(columns: int, *, printed: bool = False) -> float:
    """Return the width in inches of a figure with `columns` columns of panels; if `printed`, that of a paper's page."""
    if printed:
        return COLUMN_OF_PAGE if columns == 1 else WIDTH_OF_PAGE
    return max(6.6, 2.5 * columns)


def usual_height(columns: int, *, printed: bool = False) -> float:
    """Return the height in inches of each panel."""
    if printed:
        return 1.8 if columns == 1 else 1.5
    return 2.6 if columns == 1 else 1.7


def upright(title: str, height: float = Grid._field_defaults["height"]) -> tuple[str, float]:
    """Return a vertical axis's title, broken to the height of a panel, and the `edge` that it needs."""
    lines = [line for part in title.split("\n") for line in textwrap.wrap(part, int(UPRIGHT * height))]
    return "\n".join(lines), EDGE + TITLE_LINE * (len(lines) - 1)


def usual_columns(facets: int) -> int:
    """Return the number of columns for `facets` panels."""
    return facets if facets <= 3 else 2 if facets == 4 else 3


def lay_out(
    question: str, footer: str, grid: Grid, keys: Sequence[Line2D] = (), keys_title: str = ""
) -> tuple[Sheet, list[Axes]]:
    """Return a figure with its texts, and its empty panels in order. No `keys`, no legend. Call it within style.RC."""
    title = textwrap.wrap(question, int(grid.width * 11.8))
    foot = textwrap.wrap(footer, int(grid.width * 17))
    key_columns = _key_columns(keys, grid)
    top = 0.1 + 0.17 * len(title)
    key_rows = math.ceil(len(keys) / key_columns)
    head = top + (0.16 * key_rows + (0.27 if keys_title else 0.1) if keys else 0.05)
    below = grid.foot + FOOT_LINE * len(foot)
    height = head + grid.rows * (grid.title + grid.height) + (grid.rows - 1) * grid.row_gap + below
    figure = Sheet(grid.width, height, footer, head=top, foot=0.08 + FOOT_LINE * len(foot))
    left = LEFT / grid.width
    figure.text(left, 1 - 0.08 / height, "\n".join(title), va="top", size=9.5, weight="bold")
    figure.text(left, 0.08 / height, "\n".join(foot), va="bottom", size=7.5, color=GREY, linespacing=1.3)
    if keys:
        figure.legend(
            handles=list(keys), title=keys_title or None, alignment="left", ncols=key_columns, handlelength=3.2,
            loc="upper left", bbox_to_anchor=(left, 1 - top / height), borderaxespad=0.0, borderpad=0.0,
        )  # fmt: skip
    axes = []
    for index in range(grid.panels):
        row, column = divmod(index, grid.columns)
        x = grid.edge + column * (grid.panel_width + grid.column_gap)
        y = height - head - (row + 1) * (grid.title + grid.height) - row * grid.row_gap
        place = (x / grid.width, y / height, grid.panel_width / grid.width, grid.height / height)
        axes.append(figure.add_axes(place))
    return figure, axes


def key(
    label: str, look: Look, *, linewidth: float = 1.3, markersize: float = 4.4, markerfacecolor: ColorType | None = None
) -> Line2D:
    """Return one entry of a legend; the marker has the line's colour unless `markerfacecolor` is given."""
    return Line2D(
        [], [], label=label, color=look.colour, marker=look.marker, linestyle=look.dash, linewidth=linewidth,
        markersize=markersize, markerfacecolor=markerfacecolor,
    )  # fmt: skip


def share_ordinates(places: Sequence[Axes], groups: Sequence[Hashable]) -> None:
    """Give panels of one group the same limits of the vertical axis; a panel without data takes none from it."""
    for group in set(groups):
        own = [axes for axes, its in zip(places, groups, strict=True) if its == group and axes.has_data()]
        limits = [axes.get_ylim() for axes in own]
        for axes in own:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def ordinates_sentence(groups: Sequence[Hashable]) -> str:
    """Return a footer's sentence on the vertical axes of panels in `groups`; "" for one panel."""
    if len(groups) < 2:
        return ""
    if len(set(groups)) == 1:
        return "All panels have the same vertical axis."
    alike = len(set(groups)) < len(groups)
    return "Panels of one task have the same vertical axis." if alike else "Each panel has its own vertical axis."


def tick_room(values: Iterable[float]) -> float:
    """Return the width in inches that the tick labels of `values`, as drawn, need beyond that of three letters."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0
    low, high = min(finite), max(finite)
    span = (high - low) or abs(high) or 1.0
    low, high = low - span / 2, high + span / 2  # intervals go beyond values
    largest = max(abs(low), abs(high))
    decimals = max(0, -math.floor(math.log10((high - low) / TICKS_UPWARD)))
    length = POWER_LETTERS if _needs_powers(largest) else len(f"{largest:.{decimals}f}") + (low < 0)
    return LETTER * max(0, length - 3)


def short_ticks(places: Iterable[Axes]) -> None:
    """Print very large and very small numbers of the vertical axes as 6e7, and never as a distance from an offset."""
    for axes in places:
        if _needs_powers(max(map(abs, axes.get_ylim()))):
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _in_powers(value)))
        elif isinstance(axes.yaxis.get_major_formatter(), ScalarFormatter):
            axes.ticklabel_format(axis="y", useOffset=False, style="plain")


def _needs_powers(largest: float) -> bool:
    return not 1e-3 <= largest < 1e6


def _in_powers(value: float) -> str:
    """Return e.g. 6e7, −2.5e−5 or 0."""
    if not value:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    return f"{value / 10.0**exponent:.3g}e{exponent}".replace("-", "−")


def seeds_in_words(counts: Sequence[int]) -> str:
    """Return the range of the numbers of seeds, e.g. `n = 2 to 4`; zeros don't count."""
    found = sorted({count for count in counts if count})
    if not found:
        return "no seed"
    return f"n = {found[0]}" if len(found) == 1 else f"n = {found[0]} to {found[-1]}"


def clipped_sentence(ends: Sequence[float], scale: float, bounds: Bounds) -> str:
    """Return a footer's sentence if one of the `ends` of intervals lies outside `bounds`, else ""."""
    if not bounds.leaves(ends):
        return ""
    named = " and ".join(f"{scale * bound:g}" for bound in bounds if math.isfinite(bound))
    return f"Intervals are cut at {named}: the metric can't go beyond."


def _key_columns(keys: Sequence[Line2D], grid: Grid) -> int:
    if not keys:
        return 1
    widest = KEY + LETTER * max(len(str(found.get_label())) for found in keys)
    return max(1, min(len(keys), 2 * grid.columns, int((grid.width - LEFT - RIGHT) / widest)))
