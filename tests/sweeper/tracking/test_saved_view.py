"""The saved view is what MLflow 3.13 and 3.17 read, and fits the tag of the older one."""

import base64
import json
import zlib

from sweeper.tracking.saved_view import LONGEST_VIEW, link, saved_view


def test_one_text_is_the_envelope_of_3_17_and_the_bare_state_of_3_13():
    text = saved_view(["inner_steps"], ["endpoint/x/last_60/window_1"], 7)
    envelope = json.loads(text)
    assert isinstance(envelope["name"], str) and envelope["createdAt"] == 7
    inside = json.loads(zlib.decompress(base64.b64decode(envelope["state"].removeprefix("deflate;"))))
    assert inside == {name: value for name, value in envelope.items() if name in inside}
    assert inside["selectedColumns"][:2] == ["params.`inner_steps`", "metrics.`n`"]
    assert "metrics.`endpoint/x/last_60/window_1`" in inside["selectedColumns"]
    assert inside["orderByKey"] == "attributes.start_time"  # MLflow nests trials below cells under this sort alone
    assert saved_view(["inner_steps"], ["endpoint/x/last_60/window_1"], 7) == text


def test_a_sweep_of_many_long_axes_still_has_a_view():
    text = saved_view([f"{number}_{'x' * 200}" for number in range(40)], ["endpoint/x"], 7)
    assert len(text) <= LONGEST_VIEW
    assert json.loads(text)["selectedColumns"][0].startswith("params.`0_")


def test_the_link_opens_the_runs_and_not_the_page_about_language_models():
    assert link("http://127.0.0.1:5000", "3", saved=True) == (
        "http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=sweeper"
    )
    assert "viewStateShareKey" not in link("http://h", "3", saved=False)
