"""What comes from elsewhere is data: no code in it runs, no name in it leads outside, and nothing in it is endless."""

import ast
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.errors import SweepFileError
from sweeper.results import journal_form, journal_lines
from sweeper.results.fold import fold
from sweeper.results.journal_form import JournalFormError, check
from sweeper.results.journal_lines import DamagedJournalError
from sweeper.sweepfile.sweep import load
from sweeper.sweepfile.yaml_source import LARGEST_FILE
from tests.places import ROOT
from tests.sweeper.played import begin, finish
from tests.sweeper.tiny import TINY

UNPICKLER = ROOT / "trainers/data/plain_pickle.py"
"""The one file that may know pickle: its reader runs nothing that a pickle names."""
LOADERS = {"eval", "exec", "compile", "__import__", "execfile"}
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}


def sources() -> list[Path]:
    return [path for package in ("trainers", "sweeper", "analysis") for path in sorted((ROOT / package).rglob("*.py"))]


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Yield every call and import in `tree` that can run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {name}" for name in names if name.partition(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in LOADERS:
            yield called
        if called == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if called in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
            yield "np.load with pickles"
        if called.endswith("YAML") and given.get("typ") != "'safe'":
            yield f"{called} that is not safe"
        if given.get("shell") == "True" or called in ("os.system", "os.popen"):
            yield f"{called} through a shell"


@pytest.mark.slow
def test_nothing_that_is_read_can_be_run():
    files = sources()
    assert len(files) > 100
    found = {path: set(unsafe(ast.parse(path.read_text(encoding="utf-8")))) for path in files}
    assert found.pop(UNPICKLER) == {"imports pickle"}
    assert {str(path.relative_to(ROOT)): what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path, allow_pickle=True)", "import pickle",
        "from joblib import load", "YAML()", "YAML(typ='unsafe')", "eval(text)", "exec(text)", "import yaml",
        "subprocess.run(text, shell=True)", "os.system(text)",
    ],
)  # fmt: skip
def test_the_search_finds(line):
    assert len(list(unsafe(ast.parse(line)))) == 1


def laughs(levels: int) -> str:
    """Return ten lines that stand for ten to the power of `levels` of them."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (laughs(12) + TINY, "anchors and aliases"),
        (TINY.replace("question:", "more: &me {again: *me}\nquestion:"), "anchors and aliases"),
        (TINY.replace("[1, 2]", "[" * 10_000 + "]" * 10_000), "nested deeper than 12 levels"),
        (TINY.replace("[1, 2]", "{a: " * 5_000 + "}" * 5_000), "nested deeper than 12 levels"),
        (TINY + "# " + "x" * LARGEST_FILE, f"larger than {LARGEST_FILE:,} bytes"),
        (TINY.replace("seeds: 2", "seeds: !!python/object/apply:os.system [id]"), "tags are not used here"),
        (TINY.replace("[1, 2]", "{range: [1, 1000000000000, 1]}"), "values"),
    ],
    ids=["billion laughs", "endless loop", "lists", "mappings", "large", "code", "range"],
)
def test_a_bomb_of_a_sweep_file_is_refused_at_once_with_a_message(tmp_path, text, said):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    begun = time.process_time()
    with pytest.raises(SweepFileError, match=rf"bomb\.yaml:\d+:\d+: .*{said}"):
        load(path)
    assert time.process_time() - begun < 20  # seconds of CPU, in which no bomb goes off


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc", ".", "..", "", "A", "a b", "a" * 65, "ü", '"x\\n"', "a.b"])
@pytest.mark.parametrize("of", ["sweep", "profile"])
def test_a_name_that_becomes_a_path_is_of_a_few_plain_letters(tmp_path, name, of):
    quoted = name if name.startswith('"') else f'"{name}"'
    path = tmp_path / "named.yaml"
    path.write_text(
        TINY.replace("name: tiny", f"name: {quoted}") if of == "sweep" else f"{TINY}profiles: {{{quoted}: {{}}}}\n"
    )
    with pytest.raises(SweepFileError, match=r"name|profiles"):
        load(path)
    path.write_text(path.read_text().replace(quoted, "a_b-9"))
    load(path)


def test_no_line_of_a_journal_is_endless(results, specs, monkeypatch):
    finish(results, specs[0])
    path = results.trial(specs[0].trial_id).journal
    content = path.read_bytes()
    for module in (journal_lines, journal_form):
        monkeypatch.setattr(module, "LONGEST_LINE", 4096)
    assert fold(path)["status"] == "done"
    check(content, specs[0].trial_id)
    longer = content.replace(b'"message":""', b'"message":"' + b"x" * 4096 + b'"')
    path.write_bytes(longer)
    with pytest.raises(DamagedJournalError, match=r":3 is longer than 4096 bytes"):
        fold(path)
    with pytest.raises(JournalFormError, match="line 3: is longer than 4096 bytes"):
        check(longer, specs[0].trial_id)


def test_a_journal_of_a_run_is_far_from_the_longest_line(results, specs):
    begin(results, specs[0])
    assert (
        max(map(len, results.trial(specs[0].trial_id).journal.read_bytes().splitlines()))
        < journal_lines.LONGEST_LINE / 100
    )


@pytest.mark.slow
def test_what_the_ui_starts_listens_on_this_machine_alone(server):
    assert listening(server) == {"0100007F"}
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.2", server))  # taken if it listened on all addresses


def listening(port: int) -> set[str]:
    """Return the addresses on which somebody listens at `port`, as the kernel writes them."""
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
