"""Tests of tables in LaTeX: what they print, that they fit, and that a real TeX takes them."""

import re
import unicodedata
from pathlib import Path

import pytest

from analysis.pages.contents import TextTable
from analysis.pages.latex import latex_table, latex_text
from analysis.pages.latex_layout import LAST_LATIN, printable
from tests.analysis.pages.sample_tables import ACCURACIES
from tests.tex_pages import PAGES, faults

CLAIMS = TextTable(
    caption="Claims.",
    heads=("claim", "source", "contrast", "steps", "verdict"),
    rows=(
        ("With zeroing, the number of inner steps no longer matters.", "Fig. 4", "+0.4 ± 1.1", "17,500", "reproduced"),
        ("Zeroing raises the accuracy early in training_", "p. 7", "-4.7 ± 2.8", "2,000", "not enough seeds"),
        ("One step is enough.", "p. 7", "−12.25 ± 0.1", "300", "reversed"),
    ),
    numeric=(2, 3),
)


def test_latex_aligns_numbers_and_keeps_what_follows_them() -> None:
    assert latex_table(ACCURACIES) == "\n".join(
        [
            r"% Needs \usepackage{booktabs, siunitx} and \usepackage[T1]{fontenc} before \begin{document}.",
            "% Fits the line of a page of one column; on a page of two columns, use table*.",
            "% Percent.",
            "% ± is half the 95 % t-interval.",
            r"\noindent\begin{tabular}{llS[table-format=2.1]@{}lS[table-format=3.1]@{}l}",
            r"\toprule",
            r" &  & \multicolumn{4}{c}{inner steps} \\",
            r"\cmidrule(lr){3-6}",
            r"task & zeroing & \multicolumn{2}{c}{1} & \multicolumn{2}{c}{5} \\",
            r"\midrule",
            r"Omniglot\_5w1s \& more & none & 52.0 & ~$\pm$ 5.0 & 62.0 & ~(2 of 3) \\",
            r"50 \% \{x\} \$y\textasciicircum{}2\$ \#1 \textasciitilde{} & every step & "
            r"9.5 & ~$\pm$ 14.3 & {--} & ~(0 of 3) \\",
            r"{[}a{]} {[}U+65E5{]} $\eta$ é &  & \multicolumn{2}{c}{} & 100.0 & \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def test_signs_and_thousands_survive_siunitx() -> None:
    text = latex_table(CLAIMS)
    assert "S[table-format=-2.2, retain-explicit-plus]@{}l" in text
    assert "S[table-format=5, group-separator={,}, group-minimum-digits=4]" in text
    assert r"& -12.25 & ~$\pm$ 0.1 & 300 & reversed \\" in text
    assert r"& +0.4 & ~$\pm$ 1.1 & 17500 & reproduced \\" in text


def test_long_texts_break_and_leave_room_for_the_rest() -> None:
    *_, last = lines = latex_table(CLAIMS).splitlines()
    preamble = lines[3]
    assert last == r"\end{tabularx}"
    assert lines[0] == r"% Needs \usepackage{array, booktabs, siunitx, tabularx} before \begin{document}."
    assert preamble.startswith(
        r"\noindent\begin{tabularx}{\linewidth}{>{\hsize=1.00000\hsize\raggedright\arraybackslash}X"
    )
    assert preamble.count(r"\hsize=") == 1


def test_columns_break_only_where_a_table_is_too_wide_and_never_within_a_word() -> None:
    heads, cells = ("task", "head", "verdict"), ("mini-ImageNet 5w20s", "zero-init", "reproduced")
    narrow = TextTable(caption="", heads=heads, rows=(cells,))
    assert r"\begin{tabular}{lll}" in latex_table(narrow)
    wide = TextTable(caption="", heads=(*heads, "numbers"), rows=((*cells, "0.105 (n = 4) " * 12),))
    (preamble,) = [line for line in latex_table(wide).splitlines() if r"\begin{tabular" in line]
    shares = [float(share) for share in re.findall(r"hsize=(\d\.\d+)", preamble)]
    assert preamble.endswith("}") and 0 < len(shares) < 4
    assert sum(shares) <= len(shares)  # as tabularx wants them


def test_no_cell_loses_or_changes_a_letter_where_it_breaks() -> None:
    word = "a_long/word.of-many=parts" * 3
    row = (word, "39.5 ± 42.5 (n = 4)", f"undecided: -0.4, {'0.105 (n = 4) ' * 30}{word}".strip())
    table = TextTable(caption="", heads=("task", "ours", "verdict"), rows=(row,) * 2, numeric=(1,))
    lines = latex_table(table)
    printed = re.sub(r"\\-|\\allowbreak\{\}", "", lines)
    for cell in row[0], row[2]:
        assert latex_text(cell) in printed
    assert lines.count(r"39.5 & ~$\pm$ 42.5 (n = 4)") == 2


def test_a_minus_is_no_hyphen_after_which_a_line_may_end() -> None:
    assert latex_text("-0.4, (-3), 5-way, 1e-05, a - b") == "$-$0.4, ($-$3), 5-way, 1e-05, a - b"


def test_pairs_of_signs_are_printed_as_they_are_and_not_as_one() -> None:
    assert latex_text("--only '' ,, | \" `") == (r"-{}-only '{}' ,{}, \textbar{} \textquotedbl{} \textasciigrave{}")


def test_a_numeric_column_without_a_number_stays_text() -> None:
    table = TextTable(caption="", heads=("a", "p"), rows=(("x", "<0.001"), ("y", "-")), numeric=(1,))
    assert r"x & \textless{}0.001 \\" in latex_table(table)
    assert r"\begin{tabular}{lr}" in latex_table(table)


def test_a_cell_without_a_number_is_never_read_as_one() -> None:
    one = TextTable(caption="", heads=("p",), rows=(("0.41",), ("<0.001",), ("-",), ("",)), numeric=(0,))
    assert latex_table(one).splitlines()[7:11] == [r"0.41 \\", r"{\textless{}0.001} \\", r"{--} \\", r"{} \\"]
    two = TextTable(caption="", heads=("p",), rows=(("0.41 (n = 3)",), ("<0.001",)), numeric=(0,))
    assert latex_table(two).splitlines()[7:9] == [
        r"0.41 & ~(n = 3) \\",
        r"\multicolumn{2}{c}{\textless{}0.001} \\",
    ]


LETTERS = "".join(filter(printable, map(chr, range(0x20, LAST_LATIN + 1))))
WORD = "Donaudampfschifffahrtsgesellschaft"
ODD_SIGNS = "\u202e\xad日本語" * 9
ODD = {
    "accuracies": ACCURACIES,
    "claims": CLAIMS,
    "letters": TextTable(
        caption="",
        heads=("letter", "name"),
        rows=tuple((one, unicodedata.name(one, "no name").lower()) for one in LETTERS),
    ),
    "control": TextTable(caption="a\nb", heads=("a\x00b", "[x]"), rows=(("*", "\x1b[31m"), ("[1]", ODD_SIGNS))),
    "long-words": TextTable(
        caption="",
        heads=(f"the_{WORD}", "ours", "path"),
        rows=(("W" * 300, "0.5 ± 0.1 (n = 3)", "/a/very_long/path.of-parts" * 9), (WORD * 3, "-", "ab" * 200)),
        numeric=(1,),
    ),
    "many-columns": TextTable(
        caption="",
        heads=("task", *(f"{WORD[:20]} {number}" for number in range(30))),
        rows=(("A", *["+83.4 ± 11.2 (2 of 3)"] * 30), ("B", *["- (0 of 3)"] * 30)),
        numeric=tuple(range(1, 31)),
        over="the long name of an axis with many values",
    ),
    "many-numbers": TextTable(
        caption="",
        heads=tuple("abcdefghijkl"),
        rows=(("-12,345.678 ± 0.001 (n = 100)",) * 12,),
        numeric=tuple(range(12)),
    ),
    "many-axes": TextTable(
        caption="",
        heads=tuple(f"the axis {WORD[:9]} {number}" for number in range(9)),
        rows=(tuple(f"{WORD[number:]} {number}" for number in range(9)),) * 3,
    ),
    "many-rows": TextTable(
        caption="", heads=("sweep", "n"), rows=tuple((f"row {row}", str(row)) for row in range(400)), numeric=(1,)
    ),
    "over-few": TextTable(caption="", heads=("a", "b"), rows=(("x", "1"),), numeric=(1,), over="a title " * 6),
    "a-long-cell": TextTable(caption="", heads=("a", "b"), rows=(("x", "a long sentence. " * 150), ("y", "z"))),
}
"""Tables that no sweep of ours has, but another one may."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_stock_tex_compiles_the_oddest_tables_and_nothing_leaves_its_box(tmp_path: Path, page: str) -> None:
    assert faults(tmp_path, PAGES[page], {name: latex_table(table) for name, table in ODD.items()}) == []


@pytest.mark.slow
def test_version_2_of_siunitx_takes_them_too(tmp_path: Path) -> None:
    page = PAGES["one column"]
    old = page._replace(preamble=rf"{page.preamble}\usepackage{{siunitx}}[=v2]")
    found = faults(tmp_path, old, {name: latex_table(ODD[name]) for name in ("accuracies", "claims")})
    if any("rollback" in fault.lower() for fault in found):
        pytest.skip("this siunitx brings no version 2")
    assert found == []


@pytest.mark.slow
def test_what_is_too_wide_or_no_tex_is_found(tmp_path: Path) -> None:
    wide = r"\begin{tabular}{p{600pt}}x\end{tabular}"
    assert "Overfull" in faults(tmp_path, PAGES["one column"], {"wide": wide})[0]
    assert "Undefined control" in faults(tmp_path, PAGES["one column"], {"wrong": r"\nonsense"})[0]


def test_latex_has_no_character_that_a_stock_tex_lacks() -> None:
    assert latex_text("±−×·≤≥≈≠–—…“”‘’ηρφθ日😀") == (
        r"$\pm$$-$$\times$$\cdot$$\leq$$\geq$$\approx$$\neq$-----$\ldots$``''`'$\eta$$\rho$$\varphi$$\theta$"
        r"{[}U+65E5{]}{[}U+1F600{]}"
    )


def test_a_name_cannot_become_a_command_of_latex() -> None:
    name = r"\input{/etc/passwd} 50% $x$ #1 a_b ~ ^ & <script>"
    written = latex_text(name)
    for made in (r"\textbackslash{}", r"\{", r"\}", r"\%", r"\$", r"\#", r"\_", r"\&", r"\textless{}"):
        assert made in written
        written = written.replace(made, "")
    written = (
        written.replace(r"\textasciitilde{}", "").replace(r"\textasciicircum{}", "").replace(r"\textgreater{}", "")
    )
    assert not set(written) & set("\\{}%$#_&~^<>")
