"""Which tracking store is meant, and how it is quoted."""

from pathlib import Path

import pytest

from sweeper.errors import SweepError
from sweeper.tracking.address import default_uri, explain, given_uri, masked, resolve_uri, ui_command, ui_url


def test_the_default_store_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_uri(None, Path("results")) == f"sqlite:///{tmp_path}/results/mlflow.db"
    assert resolve_uri("sqlite:///mine.db", Path("results")) == f"sqlite:///{tmp_path}/mine.db"


def test_the_option_outranks_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert resolve_uri(None, tmp_path) == "http://tracker:5000"
    assert resolve_uri("none", tmp_path) is None
    assert resolve_uri("postgresql+psycopg2://db/mlflow", tmp_path) == "postgresql+psycopg2://db/mlflow"


@pytest.mark.parametrize("uri", ["file:///data/mlruns", "mlruns", "/data/mlruns"])
def test_a_folder_as_store_is_refused_by_its_source(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(SweepError, match=r"MLFLOW_TRACKING_URI is .* no longer supports a folder"):
        resolve_uri(None, tmp_path)


def test_a_password_is_masked_and_only_it() -> None:
    assert masked("postgresql://ada:pw@db:5432/mlflow") == "postgresql://ada:***@db:5432/mlflow"
    assert masked("sqlite:////data/a:b@c/mlflow.db") == "sqlite:////data/a:b@c/mlflow.db"
    assert masked("http://ada@tracker:5000/a?b=c") == "http://ada@tracker:5000/a?b=c"


@pytest.mark.parametrize("password", ["pa/ss", "pa@ss", "pa?ss=1", "pa#ss", "p:a/s@s", "12/34", "pa ss", "[pass"])
def test_a_password_that_nobody_escaped_is_masked_as_a_whole_and_refused_where_a_uri_ends_before_it(
    password: str, tmp_path: Path
) -> None:
    uri = f"http://ada:{password}@tracker:5000/here"
    assert masked(uri) == "http://ada:***@tracker:5000/here"
    try:
        assert resolve_uri(uri, tmp_path) == uri
    except SweepError as error:
        assert "http://ada:***@tracker:5000/here" in str(error)
        assert password not in str(error)
        assert any(letter in password for letter in "/?#[")
    else:
        assert not any(letter in password for letter in "/?#")


def test_a_password_in_the_query_of_a_database_is_masked() -> None:
    uri = "postgresql://db/mlflow?user=ada&password=pw&sslmode=require"
    assert masked(uri) == "postgresql://db/mlflow?user=ada&password=***&sslmode=require"


@pytest.mark.parametrize("scheme", ["ftp://", "sqlite://", "http://["])
def test_no_refusal_of_a_store_quotes_its_password(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(SweepError) as caught:
        resolve_uri(f"{scheme}ada:hidden@host/db", tmp_path)
    assert "hidden" not in str(caught.value)


def test_what_a_library_says_of_a_store_is_told_without_its_password() -> None:
    error = ValueError("can't reach user ada with hid den, asked postgresql://ada:hid%20den@db/mlflow?x")
    told = str(explain(error, "postgresql://ada:hid%20den@db/mlflow"))
    assert "hid" not in told
    assert "can't reach user ada with ***, asked postgresql://ada:***@db/mlflow?x" in told


def test_a_server_needs_no_ui_started() -> None:
    assert ui_command("http://tracker:5000", 5001) == []
    assert ui_url("http://tracker:5000", 5001) == "http://tracker:5000"


@pytest.mark.parametrize(
    "uri", ["http://[bad", "sqlite://", "sqlite:///", "sqlite://rel.db", "sqlite:////", "sqlite:///."]
)
def test_what_names_no_store_is_refused_in_one_sentence(uri: str, tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=r"--tracking-uri is .*; give") as caught:
        resolve_uri(uri, tmp_path)
    assert repr(uri) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("letter", "?#%")
def test_a_results_folder_that_no_uri_can_hold_is_refused(letter: str, tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=r"results folder .*; name another folder with --results"):
        default_uri(tmp_path / f"50{letter}")


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), ("\n", "is empty"), (b"\xff\xfe", "not a text file")]
)
def test_a_file_that_holds_no_uri_is_said(tmp_path, content, why):
    file = tmp_path / "store"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SweepError, match=why):
        given_uri(f"@{file}")


def test_a_file_holds_the_uri_of_a_store(tmp_path):
    (tmp_path / "store").write_text("http://ada:hidden@tracker:5000\n")
    assert given_uri(f"@{tmp_path / 'store'}") == "http://ada:hidden@tracker:5000"
