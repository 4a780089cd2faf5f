import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.pages.contents import Section, TextTable, split_number
from analysis.pages.markup import csv_table, latex_table, latex_text, markdown_section, markdown_table

ACCURACIES = TextTable(
    caption="Percent.",
    heads=("task", "zeroing", "1", "5"),
    rows=(
        ("Omniglot_5w1s & more", "none", "52.0 ± 5.0", "62.0 (2 of 3)"),
        ("50 % {x} $y^2$ #1 ~", "every step", "9.5 ± 14.3", "- (0 of 3)"),
        ("[a] 日 η é", "", "", "100.0"),
    ),
    numeric=(2, 3),
    over="inner steps",
    notes=("± is half the 95 % t-interval.",),
)
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

DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\usepackage{siunitx}%s
\begin{document}
\thispagestyle{empty}
\noindent %s

\bigskip\noindent %s
\end{document}
"""


@pytest.mark.parametrize(
    ("text", "number", "rest"),
    [
        ("83.4 ± 1.2 (2 of 3)", "83.4", " ± 1.2 (2 of 3)"),
        ("+3.1 ± 0.8 (n = 4)", "+3.1", " ± 0.8 (n = 4)"),
        ("−3.1", "−3.1", ""),
        ("17,500", "17,500", ""),
        ("5.4 %", "5.4", " %"),
        ("- (n = 0)", "-", " (n = 0)"),
        ("-", "-", ""),
        ("", "", ""),
        ("<0.001", "", "<0.001"),
        ("1e-05", "", "1e-05"),
        ("5-way", "", "5-way"),
        ("1, 2", "", "1, 2"),
        ("2026-11-23", "", "2026-11-23"),
        ("-ish", "", "-ish"),
    ],
)
def test_a_cell_splits_after_the_number_it_begins_with(text: str, number: str, rest: str) -> None:
    assert split_number(text) == (number, rest)


def test_latex_aligns_numbers_and_keeps_what_follows_them() -> None:
    assert latex_table(ACCURACIES) == "\n".join(
        [
            "% Percent.",
            "% ± is half the 95 % t-interval.",
            r"\begin{tabular}{llS[table-format=2.1]@{}lS[table-format=3.1]@{}l}",
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
    assert "S[table-format=+2.2, retain-explicit-plus]@{}l" in text
    assert "S[table-format=5, group-separator={,}, group-minimum-digits=4]" in text
    assert r"& -12.25 & ~$\pm$ 0.1 & 300 & reversed \\" in text
    assert r"& +0.4 & ~$\pm$ 1.1 & 17500 & reproduced \\" in text


def test_long_texts_break_and_leave_room_for_the_rest() -> None:
    lines = latex_table(CLAIMS).splitlines()
    size, preamble = lines[1:3]
    assert size == r"{\footnotesize\setlength{\tabcolsep}{3pt}%" and lines[-1] == r"\end{tabular}}"
    assert preamble.count(r"\linewidth") == 1
    assert r">{\raggedright\arraybackslash}p{0.40\linewidth}" in preamble


def test_columns_break_only_where_a_table_is_too_wide_and_never_within_a_word() -> None:
    heads, cells = ("task", "head", "verdict"), ("mini-ImageNet 5w20s", "zero-init", "reproduced")
    narrow = TextTable(caption="", heads=heads, rows=(cells,))
    assert r"\begin{tabular}{lll}" in latex_table(narrow)
    wide = TextTable(caption="", heads=(*heads, "numbers"), rows=((*cells, "0.105 (n = 4) " * 12),))
    (preamble,) = [line for line in latex_table(wide).splitlines() if line.startswith(r"\begin")]
    shares = [float(share) for share in re.findall(r"p{(0\.\d+)", preamble)]
    assert preamble.endswith("}") and 0 < len(shares) < 4
    assert sum(shares) < 0.9


def test_a_numeric_column_without_a_number_stays_text() -> None:
    table = TextTable(caption="", heads=("a", "p"), rows=(("x", "<0.001"), ("y", "-")), numeric=(1,))
    assert r"x & \textless{}0.001 \\" in latex_table(table)
    assert r"\begin{tabular}{lr}" in latex_table(table)


def test_a_cell_without_a_number_is_never_read_as_one() -> None:
    one = TextTable(caption="", heads=("p",), rows=(("0.41",), ("<0.001",), ("-",), ("",)), numeric=(0,))
    assert latex_table(one).splitlines()[5:9] == [r"0.41 \\", r"{\textless{}0.001} \\", r"{--} \\", r"{} \\"]
    two = TextTable(caption="", heads=("p",), rows=(("0.41 (n = 3)",), ("<0.001",)), numeric=(0,))
    assert latex_table(two).splitlines()[5:7] == [
        r"0.41 & ~(n = 3) \\",
        r"\multicolumn{2}{c}{\textless{}0.001} \\",
    ]


ENGINES = ("pdflatex", "lualatex", "xelatex", "tectonic")


@pytest.mark.slow
@pytest.mark.parametrize("siunitx", ["", "[=v2]"], ids=["current", "version 2"])
def test_a_stock_tex_compiles_the_tables(tmp_path: Path, siunitx: str) -> None:
    engine = next((found for found in map(shutil.which, ENGINES) if found), None)
    if engine is None:
        pytest.skip(f"no TeX here: none of {', '.join(ENGINES)} is on PATH")
    source = tmp_path / "tables.tex"
    source.write_text(DOCUMENT % (siunitx, latex_table(ACCURACIES), latex_table(CLAIMS)))
    options = [] if Path(engine).name == "tectonic" else ["-halt-on-error", "-interaction=nonstopmode"]
    done = subprocess.run([engine, *options, source.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    if siunitx and "rollback" in done.stdout.lower() and done.returncode:
        pytest.skip("this siunitx brings no version 2")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "tables.pdf").stat().st_size > 1000


def test_latex_has_no_character_that_a_stock_tex_lacks() -> None:
    assert latex_text("±−×·≤≥≈≠–—…“”‘’ηρφθ日😀") == (
        r"$\pm$$-$$\times$$\cdot$$\leq$$\geq$$\approx$$\neq$-----$\ldots$``''`'$\eta$$\rho$$\varphi$$\theta$"
        r"{[}U+65E5{]}{[}U+1F600{]}"
    )


def test_a_title_over_columns_is_said_in_each_head_of_markdown() -> None:
    assert markdown_table(ACCURACIES).splitlines()[2:4] == [
        "| task | zeroing | inner steps 1 | inner steps 5 |",
        "| --- | --- | ---: | ---: |",
    ]


def test_a_section_is_paragraphs_then_items_then_tables() -> None:
    table = TextTable(caption="Cap.", heads=("a",), rows=(("1|2",),))
    section = Section(title="T", paragraphs=("P <b>.",), items=("one", "two"), tables=(table,))
    assert markdown_section(section) == ("## T\n\nP \\<b>.\n\n- one\n- two\n\nCap.\n\n| a |\n| --- |\n| 1\\|2 |\n")


def test_no_cell_of_a_text_table_starts_a_formula() -> None:
    table = TextTable(caption="", heads=("=h", "d"), rows=(("=cmd", "-3.1"), ("@x", "+3.1 ± 0.8"), ("-", "")))
    assert list(csv.reader(io.StringIO(csv_table(table)))) == [
        ["'=h", "d"],
        ["'=cmd", "-3.1"],
        ["'@x", "'+3.1 ± 0.8"],
        ["'-", ""],
    ]


@pytest.mark.parametrize("first", list("=+-@\t\r"))
def test_no_cell_starts_a_formula_and_numbers_stay_numbers(first: str) -> None:
    numbers = ["-0.5", "+0.5", "-1e-05", "-3"]
    table = TextTable(
        caption="",
        heads=(f"{first}h",),
        rows=((f"{first}cmd|' /C calc'!A0",), (f"x\r{first}cmd",), *((n,) for n in numbers)),
    )
    head, cell, second, *rest = csv.reader(io.StringIO(csv_table(table), newline=""))
    assert (head[0][0], cell[0][0]) == ("'", "'")
    assert second[0].startswith("x ")
    assert [row[0] for row in rest] == numbers


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
