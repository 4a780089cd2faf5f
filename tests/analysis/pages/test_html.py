import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from analysis.judging.verdicts import ClaimWord, ValueWord
from analysis.pages.contents import Mark, PaperPage, Picture, Section, SweepPage, TextTable, Verdict
from analysis.pages.html import MARKS, MOST_MISSING, all_claims, paper_html, sweep_html
from analysis.pages.markdown import paper_markdown, sweep_markdown

VOID = {"meta", "img", "br", "hr", "link", "input"}
EVIL = "<script>alert('x')</script>\" & {{ 7 * 7 }}"


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in order, every id once."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.script = ""
        self.headings: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        ids = self.attribute("id")
        assert len(ids) == len(set(ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.script += data
            return
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)

    def attribute(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


CLAIMS = TextTable(
    caption="Claims of the paper.",
    heads=("claim", "source", "contrast", "verdict"),
    rows=(
        ("With zeroing, more inner steps no longer help.", "Fig. 4", "+0.4 ± 1.1", "inconclusive"),
        ("Zeroing helps.", "abstract", "+4.7 ± 0.8", "reproduced"),
        ("It always helps.", "abstract", "-1.7 ± 0.3", "reversed"),
    ),
    numeric=(2,),
)


@pytest.fixture
def page() -> SweepPage:
    return SweepPage(
        sweep="zeroing_vs_steps",
        question="Does the number of inner steps still matter?",
        paper="Fig. 4",
        sentence="One of three claims is reproduced.",
        verdicts=(Verdict("reproduced", "Zeroing: +4.7."), Verdict("", "Every step: +1.0.")),
        endpoint="Test accuracy after one inner step.",
        claims=CLAIMS,
        values=TextTable(
            caption="Values.",
            heads=("cell", "ours", "authors'", "verdict"),
            rows=(("none", "44.5 ± 0.3", "44.7", "agrees"), ("every step", "47.0 (2 of 3)", "47.4", "undecided")),
            numeric=(1, 2),
        ),
        drawn=TextTable(caption="Printed curves.", heads=("figure",), rows=(("Fig. 4",),)),
        tables=(
            TextTable(
                caption="Percent.",
                heads=("zeroing", "1", "5"),
                rows=(("none", "52.0 ± 5.0", "- (0 of 3)"), ("every step", "9.5", "")),
                numeric=(1, 2),
                over="inner steps",
                notes=("A note.",),
            ),
        ),
        figures=(
            Picture(
                name="figure_1",
                caption="A caption.",
                alt="Two lines.",
                data=b"<svg/>",
                kind="svg+xml",
                marks=(Mark(0.5, 0.25, "none: 44.5"),),
            ),
            Picture(name="figure_2", caption="Another.", alt="A heat map.", data=b"\x89PNG", kind="png"),
        ),
        remarks=("Drawn 4 % too wide.",),
        protocol=Section(title="Protocol", paragraphs=("4 trials.",)),
        differences=("eval_episodes 100 (paper 992): every cell.",),
        holes=("none: seed 2 not run",),
        runs={"id-b": "run-2", "id-a": "run-1"},
        commit="abc123",
        trained="def456 (2 trials)",
        command="sweeper report x.yaml",
        source="store",
    )


@pytest.fixture
def paper(page) -> PaperPage:
    return PaperPage(
        title="The paper, rebuilt",
        introduction=("Numbers are percent.",),
        sweeps=(page, replace(page, sweep="zeroing vs-steps", claims=None), replace(page, sweep="other", paper="")),
        reproducibility=(Section(title="Data", items=("one",), tables=(CLAIMS,)),),
        commit="abc123",
        command="sweeper report --all",
    )


def test_a_page_answers_in_the_promised_order(page) -> None:
    text = sweep_html(page)
    wanted = [
        page.question,
        page.sentence,
        "Zeroing: +4.7.",
        "Every step: +1.0.",
        "[[0.5,0.25,&#34;none: 44.5&#34;]]",
        'alt="Two lines."',
        "A caption.",
        "Percent.",
        "Claims of the paper.",
        "seed 2 not run",
        "Drawn 4 % too wide.",
        "<details",
        "Values.",
        "Printed curves.",
        "4 trials.",
        "eval_episodes 100",
        "abc123",
        "sweeper report x.yaml",
        "id-a: run-1",
        "id-b: run-2",
    ]
    body = text[text.index("<main>") :].replace("&#39;", "'")
    places = [body.index(part) for part in wanted]
    assert places == sorted(places)


def test_pages_are_balanced_with_one_first_heading(page, paper) -> None:
    for text in (sweep_html(page), paper_html(paper)):
        assert text.startswith("<!DOCTYPE html>\n")
        read = Page(text)
        assert sum(tag == "h1" for tag, _ in read.tags) == 1


def test_the_one_script_is_the_one_that_the_policy_names_and_nothing_is_loaded(page, paper) -> None:
    for text in (sweep_html(page), paper_html(paper)):
        read = Page(text)
        assert {"link", "iframe", "object"}.isdisjoint(tag for tag, _ in read.tags)
        assert all(source.startswith("data:image/") for source in read.attribute("src"))
        assert all(target.startswith("#") for target in read.attribute("href"))
        assert "url(" not in text and "@import" not in text
        (policy,) = (content for content in read.attribute("content") if content.startswith("default-src 'none';"))
        assert [attributes for tag, attributes in read.tags if tag == "script"] == [{}]
        digest = base64.b64encode(hashlib.sha256(read.script.encode()).digest()).decode()
        assert policy.endswith(f"script-src 'sha256-{digest}'") and "fetch(" not in read.script


def test_figures_are_inside_with_their_bytes_and_an_alternative(page) -> None:
    images = [attributes for tag, attributes in Page(sweep_html(page)).tags if tag == "img"]
    assert [image["alt"] for image in images] == ["Two lines.", "A heat map."]
    start, data = images[0]["src"].split(",")
    assert (start, base64.b64decode(data)) == ("data:image/svg+xml;base64", b"<svg/>")


def named_evilly(page: SweepPage) -> SweepPage:
    table = TextTable(
        caption=EVIL, heads=(EVIL, "verdict"), rows=((EVIL, EVIL), ("5" + EVIL, EVIL)), numeric=(0,), notes=(EVIL,)
    )
    return SweepPage(
        sweep=EVIL,
        question=EVIL,
        paper=EVIL,
        sentence=EVIL,
        verdicts=(Verdict(EVIL, EVIL),),
        endpoint=EVIL,
        claims=table,
        values=table,
        drawn=table,
        tables=(replace(table, over=EVIL, numeric=(1,)),),
        figures=(Picture(name=EVIL, caption=EVIL, alt=EVIL, data=b"", kind="png", marks=(Mark(0, 0, EVIL),)),),
        remarks=(EVIL,),
        protocol=Section(title=EVIL, paragraphs=(EVIL,), items=(EVIL,), tables=(table,)),
        differences=(EVIL,),
        holes=(EVIL,),
        runs={EVIL: EVIL},
        commit=EVIL,
        trained=EVIL,
        command=EVIL,
        source=EVIL,
    )


def test_a_name_cannot_become_markup_or_a_template(page) -> None:
    evil = named_evilly(page)
    every = PaperPage(
        title=EVIL,
        introduction=(EVIL,),
        sweeps=(evil,),
        reproducibility=(evil.protocol,),
        commit=EVIL,
        command=EVIL,
    )
    for text in (sweep_html(evil), paper_html(every)):
        read = Page(text)
        assert [tag for tag, _ in read.tags].count("script") == text.count("<script") == 1
        assert "alert" not in read.script
        assert text.count("{{ 7 * 7 }}") > 20
        assert EVIL in "".join(read.text)


def test_the_same_page_gives_the_same_text(page, paper) -> None:
    turned = replace(page, runs=dict(reversed(page.runs.items())))
    assert sweep_html(page) == sweep_html(turned)
    assert paper_html(paper) == paper_html(replace(paper))


def test_numbers_are_aligned_by_width_and_text_cells_are_whole(page) -> None:
    text = sweep_html(page)
    assert (
        '<span class="whole" style="min-width:4ch">52.0</span><span class="rest" style="min-width:4.5ch"> ± 5.0</span>'
        in text
    )
    assert '<span class="whole" style="min-width:1ch">-</span>' in text


def test_every_verdict_has_a_sign_besides_its_word(page) -> None:
    text = sweep_html(page)
    assert '<span class="verdict good"><span aria-hidden="true">✓&nbsp;</span>reproduced</span>' in text
    assert '<span class="verdict bad"><span aria-hidden="true">✗&nbsp;</span>reversed</span>' in text
    assert '<span class="verdict open"><span aria-hidden="true">?&nbsp;</span>undecided</span>' in text


def test_every_settled_verdict_is_a_word_of_ours() -> None:
    words = {*ClaimWord.__args__, *ValueWord.__args__}
    assert words - MARKS.keys() == {"inconclusive", "not enough seeds", "undecided", "no verdict"}
    assert MARKS.keys() <= words


def test_the_index_has_every_claim_with_a_link_to_its_sweep(paper) -> None:
    read = Page(paper_html(paper))
    assert set(read.attribute("href")) == {
        "#claims",
        "#sweep-zeroing-vs-steps",
        "#sweep-zeroing-vs-steps-2",
        "#sweep-other",
        "#reproducibility",
    }
    assert {target.removeprefix("#") for target in read.attribute("href")} <= set(read.attribute("id"))
    claims = all_claims(paper.sweeps)
    assert [row[0] for row in claims.rows] == ["zeroing_vs_steps"] * 3 + ["other"] * 3
    assert claims.numeric == (3,)


def test_every_page_has_contents_whose_links_lead_to_its_parts(page, paper) -> None:
    for text in (sweep_html(page), paper_html(paper)):
        read = Page(text)
        targets = {target.removeprefix("#") for target in read.attribute("href")}
        assert '<nav aria-label="Contents">' in text and targets <= set(read.attribute("id"))
    assert Page(sweep_html(page)).attribute("href") == [
        *("#figures", "#tables", "#claims", "#missing", "#remarks", "#compared-with-the-authors", "#protocol"),
        *("#differences-from-the-paper", "#provenance"),
    ]
    assert "Missing" not in Page(sweep_html(replace(page, holes=()))).headings


def test_a_sweep_of_nothing_in_the_paper_says_so(page) -> None:
    assert "This sweep rebuilds no result of the paper." in sweep_html(replace(page, paper="", differences=()))
    assert "The configs show none." in sweep_html(replace(page, differences=()))


def test_claims_that_are_not_planned_are_folded_away(page) -> None:
    rows = (*CLAIMS.rows, ("On Omniglot, too.", "Fig. 4", "", "not planned here"))
    changed = replace(page, claims=replace(CLAIMS, rows=rows))
    before, folded = sweep_html(changed).split('<details id="claims-not-planned-here">')
    assert "On Omniglot, too." not in before and "Claims not planned here (1)" in folded
    assert "On Omniglot, too." in folded and folded.index("On Omniglot, too.") < folded.index("</details>")
    text = sweep_markdown(changed)
    assert text.index("On Omniglot, too.") > text.index("## Claims not planned here")
    assert "not planned here" not in sweep_html(page) + sweep_markdown(page)


def test_figures_without_a_value_and_long_lists_are_folded_away_and_a_head_without_words_is_no_head(page) -> None:
    first, second = page.figures
    table = replace(page.tables[0], over="", heads=(*page.tables[0].heads[:-1], ""))
    holes = tuple(f"none: seed {seed} not run" for seed in range(MOST_MISSING + 1))
    text = sweep_html(replace(page, figures=(replace(first, empty=True), second), holes=holes, tables=(table,)))
    opened, folded = text.index("<b>Figure 2.</b>"), text.index("<h3>Figures without a value yet (1)</h3>")
    assert opened < folded < text.index("<b>Figure 1.</b>") < text.index("</details>")
    assert f"<summary><h2>Missing ({MOST_MISSING + 1})</h2></summary>" in text
    assert '<td role="cell"></td></tr>' in text and not re.search(r"<th[^>]*></th>", text)
    assert '<h2 id="missing">Missing</h2>' in sweep_html(replace(page, holes=holes[1:]))
    assert "without a value yet" not in sweep_html(page)


def test_the_markdown_page_says_the_same_in_the_same_order(page, paper) -> None:
    text = sweep_markdown(page)
    wanted = [
        "# Does the number",
        "**One of three claims is reproduced.**",
        "![Two lines.](figure_1.png)",
        "Percent.",
        "Claims of the paper.",
        "seed 2 not run",
        "Drawn 4 % too wide.",
        "Values.",
        "Printed curves.",
        "## Protocol",
        "eval_episodes 100",
        "abc123",
        "id-a run-1, id-b run-2",
    ]
    places = [text.index(part) for part in wanted]
    assert places == sorted(places)
    assert "A caption." not in text, "the picture has it"
    assert "### Data" in paper_markdown(paper) and paper_markdown(paper).count("## Does the number") == 3


def test_a_name_cannot_become_markup_in_the_markdown_page(page) -> None:
    evil = named_evilly(page)
    named = replace(evil, figures=(replace(evil.figures[0], name="figure_1"),))
    text = sweep_markdown(named)
    assert text.count("<script") == text.count("\\<script") > 15
