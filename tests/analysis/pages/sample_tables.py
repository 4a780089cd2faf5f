"""A table with all that is hard to print, for the tests of every format."""

from analysis.pages.contents import TextTable

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
