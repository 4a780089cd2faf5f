"""The scripts in examples/ that draw figures of the documentation run as their first lines say."""

import runpy
import sys

import pytest

from tests.places import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(("script", "options"), [("second_order_collapse", []), ("corollary_1", ["--steps", "1"])])
def test_a_script_draws_its_figure(script: str, options: list[str], tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [script, "--out", str(tmp_path / "figure.png"), *options])
    runpy.run_path(str(ROOT / "examples" / f"{script}.py"), run_name="__main__")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    if script == "corollary_1":
        assert "head zeroed every step: ANIL is 0.0e+00 of MAML's way" in capsys.readouterr().out
