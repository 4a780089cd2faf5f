"""Writes tables as LaTeX that fits a line and a page. No statistics, no files.

Every cell prints its text to the letter. A number in a numeric column is aligned at its decimal point.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from analysis.numbers.tables import Table
from analysis.pages.contents import Split, TextTable, grid, split_number
from analysis.pages.latex_layout import Layout, Means, Measured, head_lines, lay_out, pieces, printable, width

ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # at the start of a row, LaTeX would read it as an option of the previous row's end
    "]": "{]}",
    "*": "{*}",  # likewise
    "−": "$-$",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
}
MATHS = {
    "±": "pm", "×": "times", "·": "cdot", "…": "ldots", "≤": "leq", "≥": "geq", "≈": "approx", "≠": "neq",
    "η": "eta", "ρ": "rho", "φ": "varphi", "θ": "theta",
}  # fmt: skip
ESCAPED |= {character: rf"$\{name}$" for character, name in MATHS.items()}
LIGATURES = ("--", "''", ",,")
"""Pairs that a font would print as one character."""
MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")
"""A minus, after which a line must not end as after a hyphen."""
BELOW = re.compile(r"(?<=\S) (?=\()")
"""Where what follows a number may break: `± 1.2 (2 of 3)` before the bracket."""
NEXT_PART = r"""\gdef\nexttablepart{\begingroup
  \edef\here{\csname @currenvir\endcsname}\def\float{table}\def\wide{table*}\ifx\here\wide\let\float\wide\fi
  \ifx\here\float\edef\next{\endgroup\noexpand\end{\here}\noexpand\begin{\here}\noexpand\centering
    (continued)\noexpand\par\noexpand\smallskip}\else\def\next{\endgroup\par\bigskip}\fi\next}"""
"""Between two parts: in a float it ends the float and begins another one of its kind."""


class _Column(NamedTuple):
    """A column of a table as `width` columns of a tabular: its `spec`, unless it breaks, and its cells.

    `rest` is the width in em of what follows a number, on two lines.
    """

    spec: str
    width: int
    cells: list[str]
    measured: Measured
    rest: float = 0.0


def latex_text(text: str) -> str:
    """Return `text` on one line, with LaTeX's special characters escaped and unprintable ones as U+ numbers."""
    line = MINUS.sub("−", " ".join(text.split()))
    made = map(_character, line)
    return "".join(f"{one}{{}}" if line[at : at + 2] in LIGATURES else one for at, one in enumerate(made))


def latex(table: Table) -> str:
    """Return `latex_table` of a sweep's grid."""
    return latex_table(grid(table))


def latex_table(table: TextTable) -> str:
    """Return the table for \\input, in one or several parts; packages, caption and notes come first, as comments.

    A numeric column becomes an S column for the numbers and, if text follows them, an l column for that text. Needs
    siunitx 2 or 3.
    """
    columns = [_column(table, index) for index in range(len(table.heads))]
    layout = lay_out([column.measured for column in columns], table.over)
    parts = [_part(table, columns, layout, *part) for part in layout.parts]
    body = "\n".join([NEXT_PART, "\n\\nexttablepart\n".join(parts)] if len(parts) > 1 else parts)
    comments = [*_needs(body, layout), table.caption, *table.notes]
    return "\n".join([*(f"% {' '.join(text.split())}" for text in comments), body]) + "\n"


def _needs(body: str, layout: Layout) -> Iterator[str]:
    """Yield the sentences on packages, width and parts."""
    packages = {"array": "arraybackslash", "booktabs": "toprule", "siunitx": "S[", "tabularx": "{tabularx}"}
    used = ", ".join(name for name, sign in packages.items() if sign in body)
    letters = "" if body.isascii() and r"\textquotedbl" not in body else r" and \usepackage[T1]{fontenc}"
    yield rf"Needs \usepackage{{{used}}}{letters} before \begin{{document}}."
    if layout.narrow:
        yield "Fits one column of a page of two."
    else:
        yield "Fits the line of a page of one column; on a page of two columns, use table*."
    if len(layout.parts) > 1:
        yield f"Has {len(layout.parts)} parts; in a table or table*, each one after the first gets a float of its own."


def _part(table: TextTable, columns: Sequence[_Column], layout: Layout, chosen: Sequence[int], rows: range) -> str:
    own = [columns[index] for index in chosen]
    breaking = [index for index in chosen if index in layout.breaking]
    total = sum(layout.breaking[index] for index in breaking)
    shares = {index: int(1e5 * len(breaking) * layout.breaking[index] / total) / 1e5 for index in breaking}
    specs = [_breaking(shares[index]) if index in shares else _spec(columns[index], layout.means) for index in chosen]
    environment = "tabularx" if breaking else "tabular"
    target = r"{\linewidth}" if breaking else ""
    lines = [rf"\noindent\begin{{{environment}}}{target}{{{''.join(specs)}}}", r"\toprule"]
    numeric = [place for place, index in enumerate(chosen) if index in table.numeric]
    if table.over and numeric:
        before, over = (sum(column.width for column in part) for part in (own[: numeric[0]], own[numeric[0] :]))
        lines += [
            _ampersands([*[""] * before, rf"\multicolumn{{{over}}}{{c}}{{{latex_text(table.over)}}}"]),
            rf"\cmidrule(lr){{{before + 1}-{before + over}}}",
        ]
    below = [] if layout.spanning is None else [columns[layout.spanning]]
    count = sum(column.width for column in own)
    lines += [_ampersands([_head(columns[index], index in shares, layout.means) for index in chosen])]
    lines += [_spanning(column.measured.head, count, layout.means) for column in below]
    for row in rows:
        lines.append(r"\midrule" if row == rows[0] else r"\addlinespace" if below else "")
        lines.append(_ampersands([_cell(columns[index], row, index in shares, layout.means) for index in chosen]))
        lines += [_spanning(column.measured.cells[row], count, layout.means) for column in below]
    lines += [r"\bottomrule", rf"\end{{{environment}}}"]
    if layout.size.command:  # in a group, so that the size ends with the table
        lines = [rf"{{{layout.size.command}\setlength{{\tabcolsep}}{{3pt}}%", *lines[:-1], rf"{lines[-1]}}}"]
    return "\n".join(filter(None, lines))


def _spanning(text: str, count: int, means: Means) -> str:
    """Return a row of one cell that spans all `count` columns, indented."""
    room = r"\dimexpr\linewidth-1em-2\tabcolsep\relax"
    cell = rf"\hspace*{{1em}}\parbox[t]{{{room}}}{{\raggedright {_broken(text, means.word)}\strut}}"
    return rf"\multicolumn{{{count}}}{{l}}{{{cell}}} \\"


def _spec(column: _Column, means: Means) -> str:
    if not _stacks(column, means):
        return column.spec
    return column.spec.removesuffix("l") + rf">{{\raggedright\arraybackslash}}p{{{column.rest:.2f}em}}"


def _stacks(column: _Column, means: Means) -> bool:
    return means.stacked and column.measured.stacked < column.measured.body


def _breaking(share: float) -> str:
    return rf">{{\hsize={share:.5f}\hsize\raggedright\arraybackslash}}X"


def _column(table: TextTable, index: int) -> _Column:
    head, texts = table.heads[index], [row[index] for row in table.rows]
    splits = [split_number(text) for text in texts]
    if index in table.numeric and any(split.number.strip("-") for split in splits):
        return _number_column(head, texts, splits)
    body = max(map(width, texts), default=0.0)
    spec = "r" if index in table.numeric else "l"
    return _Column(spec, 1, list(map(latex_text, texts)), Measured(head, texts, body, body, fixed=False))


def _number_column(head: str, texts: Sequence[str], splits: Sequence[Split]) -> _Column:
    numbers = [split.number for split in splits if split.number.strip("-")]
    signs = {number[0] for number in numbers} & set("+-−")
    sign = ("+" if signs == {"+"} else "-") if signs else ""  # in small sizes a minus is wider than a plus
    parts = [number.lstrip("+-−").replace(",", "").partition(".") for number in numbers]
    whole, fraction = (max(len(part[place]) for part in parts) for place in (0, 2))
    options = [f"table-format={sign}{whole}{f'.{fraction}' if fraction else ''}"]
    if sign:
        options.append("retain-explicit-plus")
    if any("," in number for number in numbers):
        options.append("group-separator={,}, group-minimum-digits=4")
    spec = f"S[{', '.join(options)}]"
    aligned = width(f"{sign}{'0' * whole}{',' * (whole // 3)}{'.' if fraction else ''}{'0' * fraction}")
    texts_alone = max((width(split.rest) for split in splits if not split.number), default=0.0)
    if not any(split.rest for split in splits if split.number):
        cells, body = [_s_cell(split.number or split.rest) for split in splits], max(aligned, texts_alone)
        return _Column(spec, 1, cells, Measured(head, texts, body, body, fixed=True))
    after = [split.rest for split in splits if split.number]
    rest = max(width(piece) for text in after for piece in BELOW.split(text))
    body, stacked = (max(aligned + one, texts_alone) for one in (max(map(width, after)), rest))
    measured = Measured(head, texts, body, stacked, fixed=True)
    return _Column(f"{spec}@{{}}l", 2, [_two_cells(split) for split in splits], measured, rest)


def _head(column: _Column, breaks: bool, means: Means) -> str:
    """Return the head's cells; a head that doesn't break as its column does may have lines of its own."""
    if breaks:
        return _broken(column.measured.head, means.word)
    lines = list(map(latex_text, head_lines(column.measured, means)))
    place = "c" if column.measured.fixed else column.spec
    stacked = r"\\".join(lines)
    made = rf"\begin{{tabular}}[b]{{@{{}}{place}@{{}}}}{stacked}\end{{tabular}}" if len(lines) > 1 else stacked
    if not column.measured.fixed:
        return made
    return f"{{{made}}}" if column.width == 1 else rf"\multicolumn{{2}}{{c}}{{{made}}}"


def _cell(column: _Column, row: int, breaks: bool, means: Means) -> str:
    text = column.measured.cells[row]
    if breaks:
        return _broken(text, means.word)
    return _two_cells(split_number(text), stacked=True) if _stacks(column, means) else column.cells[row]


def _broken(text: str, longest: float) -> str:
    """Return `latex_text` in which a word that is wider than `longest` breaks: after a sign in it, or with a hyphen."""
    return " ".join(_joined(pieces(word, longest)) for word in text.split())


def _joined(parts: Sequence[str]) -> str:
    made = latex_text(parts[0])
    for before, part in pairwise(parts):
        made += (r"\-" if before[-1].isalnum() else r"\allowbreak{}") + latex_text(part)
    return made


def _two_cells(split: Split, stacked: bool = False) -> str:
    """Return the number and what follows it, which may break before a bracket if `stacked`."""
    if not split.number:
        return rf"\multicolumn{{2}}{{c}}{{{latex_text(split.rest)}}}"
    space, rest = "~" if split.rest.startswith(" ") else "", latex_text(split.rest)
    if stacked:
        rest = " ".join(latex_text(piece).replace(" ", "~") for piece in BELOW.split(split.rest.strip()))
    return f"{_s_cell(split.number)} & {space}{rest}".rstrip()


def _s_cell(text: str) -> str:
    """Return a cell of an S column: a plain number, other text in braces, a lone dash as an en dash."""
    if text == "-":
        return "{--}"
    return text.replace(",", "").replace("−", "-") if split_number(text).number else f"{{{latex_text(text)}}}"


def _character(character: str) -> str:
    if character in ESCAPED:
        return ESCAPED[character]
    return character if printable(character) else rf"{{[}}U+{ord(character):04X}{{]}}"


def _ampersands(texts: Sequence[str]) -> str:
    return f"{' & '.join(texts)} \\\\"
