"""A forged or damaged archive is refused with a sentence, and writes nothing."""

import stat
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.archive import format as form
from sweeper.archive.format import Archive, ArchiveError
from sweeper.cli import main
from tests.sweeper.archive.contents import entries, forge


def refused(path: Path, folder: Path) -> str:
    """Import `path` as a user does; assert that it is refused with one sentence and nothing written."""
    result = CliRunner().invoke(main, ["import", str(path), "--results", str(folder / "refused")])
    assert result.exit_code == 2, (result.exception, result.stderr)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert not (folder / "refused").exists()
    return result.stderr


OTHER = "0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/escaped",
        "trials/../../escaped",
        f"trials/{OTHER}/../../../journal.jsonl",
        f"trials/{OTHER}/a1/../../../step-00000001.ckpt",
        f"trials\\{OTHER}\\journal.jsonl",
        f"trials/{OTHER}/lock",
        f"trials/{OTHER[:-1]}/journal.jsonl",
        f"trials/{OTHER.upper()}/journal.jsonl",
        f"trials/{OTHER}/journal.jsonl\n",
        f"trials/{OTHER}/journal.jsonl/",
        f"trials/{OTHER}/a01/step-00000001.ckpt",
        f"trials/{OTHER}/a1/step-1.ckpt",
        f"trials/{OTHER}/a1/step-٠٠٠٠٠٠٠١.ckpt",
        "digests.json",
        "C:/journal.jsonl",
    ],
)
def test_only_the_names_that_an_export_writes_are_taken(exported, tmp_path, name):
    content = entries(exported)
    assert "is not a name that an export writes" in refused(
        forge(tmp_path / "bad.zip", {**content, name: b"x"}), tmp_path
    )
    assert not (tmp_path / "escaped").exists()


def changed_journal(content: dict[str, bytes], change) -> dict[str, bytes]:
    name = next(name for name in content if name.endswith("journal.jsonl"))
    return {**content, name: change(content[name])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-1], "is cut short"),
        (lambda text: text + b"{}\n", "kind"),
        (lambda text: text + b"not json\n", "Invalid JSON"),
        (lambda text: text + b"[" * 100_000 + b"\n", "line 7"),
        (lambda text: text + b'{"kind":"done","attempt":0,"time_ms":1,"step":4,"message":""}\n', "attempt"),
        (lambda text: text.replace(b'"query_loss":', b'"query_lost":', 1), "query_loss"),
        (lambda text: text.replace(b'"sd":{"trained":[', b'"sd":{"trained":["x",', 1), "sd"),
        (lambda text: text.replace(b',"zeroed":[', b',"zero":[').replace(b'"trained":[', b'"train":['), "neither head"),
        (lambda text: text.replace(b'"kind":"done"', b'"kind":"failed"', 1), "message"),
        (lambda text: text.replace(b'"kind":"done"', b'"kind":"won"', 1), "line 6"),
        (lambda text: text.partition(b"\n")[2], "line 1: doesn't open an attempt"),
        (lambda text: b"", "line 1: doesn't open an attempt"),
        (lambda text: text.replace(b'"trial_id":"', b'"trial_id":"0123456789abcdef","was":"', 1), "is of trial"),
        (
            lambda text: text.replace(b'"dataset":"strokes"', b'"dataset":"omniglot"', 1),
            "was trained on data that manifest.json",
        ),
        (
            lambda text: text.replace(b'"digest":"', b'"digest":"' + b"0" * 64 + b'","was":"', 1),
            "was trained on data that manifest.json",
        ),
    ],
)
def test_a_journal_that_no_run_wrote_is_refused(exported, tmp_path, change, said):
    content = changed_journal(entries(exported), change)
    assert said in refused(forge(tmp_path / "bad.zip", content), tmp_path)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"schema_version": 2}, "newer sweeper"),
        ({"digests": {"strokes": "short"}}, "digests"),
        ({"sweep": 5}, "sweep"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_manifest_of_another_form_is_refused(exported, tmp_path, manifest, said):
    assert said in refused(forge(tmp_path / "bad.zip", entries(exported), manifest=manifest), tmp_path)


def test_content_that_does_not_match_its_digest_is_refused(exported, tmp_path):
    content = changed_journal(entries(exported), lambda text: text.replace(b"0", b"1"))
    assert "doesn't match its digest" in refused(forge(tmp_path / "bad.zip", content, listed=False), tmp_path)


def test_entries_that_the_manifest_lacks_or_names_in_vain_are_refused(exported, tmp_path):
    content = entries(exported)
    last = list(content)[-1]
    fewer = {name: data for name, data in content.items() if name != last}
    assert "its entries differ from those in" in refused(forge(tmp_path / "bad.zip", fewer, listed=False), tmp_path)
    more = {**content, last.replace("a1", "a2"): content[last]}
    assert "its entries differ from those in" in refused(forge(tmp_path / "bad.zip", more, listed=False), tmp_path)


def test_a_checkpoint_that_is_damaged_or_of_no_trial_is_refused(exported, tmp_path):
    content = entries(exported)
    last = list(content)[-1]
    assert "isn't a whole checkpoint" in refused(forge(tmp_path / "bad.zip", {**content, last: b"x"}), tmp_path)
    lone = {**content, f"trials/{OTHER}/a1/step-00000001.ckpt": content[last]}
    assert "doesn't follow its trial's journal" in refused(forge(tmp_path / "bad.zip", lone), tmp_path)


def test_links_and_twins_and_a_manifest_in_another_place_are_refused(exported, tmp_path):
    content = entries(exported)
    link = zipfile.ZipInfo(f"trials/{OTHER}/journal.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for index, (entry, said) in enumerate([(link, "not a plain file"), (list(content)[-1], "twice")]):
        path = forge(tmp_path / f"bad{index}.zip", content)
        with zipfile.ZipFile(path, "a") as made, pytest.warns() if index else nullcontext():
            made.writestr(entry, b"/etc/passwd")
        assert said in refused(path, tmp_path)
    with zipfile.ZipFile(tmp_path / "late.zip", "w") as made:
        for name in reversed(content):
            made.writestr(name, content[name])
    assert "doesn't begin with manifest.json" in refused(tmp_path / "late.zip", tmp_path)


def test_bombs_are_refused_by_their_headers(exported, tmp_path, monkeypatch):
    content = entries(exported)
    bomb = changed_journal(content, lambda text: b" " * 2**24)
    assert "times its compressed size" in refused(forge(tmp_path / "ratio.zip", bomb), tmp_path)
    for limit, value, said in [
        ("MOST_ENTRIES", 3, "more than 3 entries"),
        ("LARGEST_ENTRY", 100, "larger than 100"),
        ("LARGEST_IN_ALL", 1000, "more than 1000"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(form, limit, value)
            assert said in refused(exported, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip at all", b"PK\x03\x04"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content)
    refused(tmp_path / "bad.zip", tmp_path)


def test_a_directory_that_points_outside_the_file_is_refused(exported, tmp_path):
    content = exported.read_bytes()
    (tmp_path / "bad.zip").write_bytes(content[:-6] + b"\xff\xff\xff\x7f" + content[-2:])
    assert "refers to bytes outside the file" in refused(tmp_path / "bad.zip", tmp_path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    assert "No such file" in refused(tmp_path / "none.zip", tmp_path)
    assert "Is a directory" in refused(tmp_path, tmp_path)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_an_archive_raises_anything_but_its_own_error_or_lets_wrong_bytes_in(exported, tmp_path, data):
    content = bytearray(exported.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers and the directory at the end are where a zip's structure is.
        tail = data.draw(st.booleans())
        place = data.draw(st.integers(max(0, len(content) - 2000), len(content) - 1) if tail else
                          st.integers(0, len(content) - 1))  # fmt: skip
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) - 1, len(content) // 2]))]
    (tmp_path / "damaged.zip").write_bytes(content)
    try:
        with Archive(tmp_path / "damaged.zip") as opened:
            found = {m.name: opened.read(m) for listed in opened.trials.values() for m in listed}
    except ArchiveError:
        return
    whole = entries(exported)
    assert all(whole[name] == content for name, content in found.items())
