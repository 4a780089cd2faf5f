"""Pictures without a drawing, but of the right size, kind and provenance, where no test looks at them or compares them.

Every sync and report draws each of its figures four times, which took a fortieth of the suite.
"""

from typing import Any

from matplotlib.figure import Figure

from analysis.figures import style

_drawn = style._encoded


def draw_blank(blank: bool) -> None:
    """Let this process draw figures from now on as for users, but with fewer dots; or, if `blank`, leave them blank."""
    style._encoded = _blank if blank else _drawn
    style.RC["savefig.dpi"] = 60


def _blank(figure: Figure, *about: Any) -> bytes:
    return _drawn(Figure(figure.get_size_inches()), *about)
