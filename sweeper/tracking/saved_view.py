"""The view of MLflow's table of runs that `sweeper ui` opens: its columns, sort and filter, and the link to it.

MLflow keeps a saved view in a tag of the experiment. 3.17 reads an envelope with a name and the page's state in
`state`; 3.13 reads the state's fields from the tag itself. One JSON object holds both. Imports no MLflow.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.contract.record import TAG_KIND

KEY = "sweeper"
"""The view's name in links. One view an experiment: a sweep and its profile have an experiment of their own."""
TAG_VIEW = f"mlflow.sharedViewState.{KEY}"
EXPERIMENT_KIND: Mapping[str, str] = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment on its runs; without it, MLflow 3.17 opens a page about language models."""
SUMMARY = ("n", "mean", "sd", "low", "high")
"""Metrics of a cell. `low` and `high` are the ends of the 95 % interval of the mean."""
LONGEST_VIEW = 5000
"""The longest tag of an experiment that MLflow 3.13 takes, in characters."""
NEWEST_FIRST = "attributes.start_time"
"""The one sort under which MLflow shows trials below their cell."""
RUN_NAME = "attributes.`Run Name`"
NAME_WIDTH = 230  # pixels, as all widths; a trial's name is indented


def saved_view(axes: Sequence[str], endpoints: Sequence[str], created_ms: int) -> str:
    """Return the value of `TAG_VIEW`: columns of the swept `axes`, the cells' summary, the `endpoints`, and the seed.

    `endpoints` are metrics of trials. If the columns are too many for a tag, the last axes are left out. Equal
    arguments give equal texts.
    """
    for kept in range(len(axes), -1, -1):
        columns = [f"params.`{axis}`" for axis in axes[:kept]]
        columns += [f"metrics.`{metric}`" for metric in (*SUMMARY, *endpoints)]
        columns += ["params.`seed`", "tags.`status`"]
        state = _state(columns)
        packed = base64.b64encode(zlib.compress(_json(state).encode(), 9)).decode()
        envelope = {"name": "Cells and their trials", "createdAt": created_ms, "state": f"deflate;{packed}"}
        text = _json(envelope | state)
        if len(text) <= LONGEST_VIEW:
            break
    return text


def link(base: str, experiment_id: str, *, saved: bool) -> str:
    """Return the address of an experiment's table of runs below `base`, the address of the UI.

    Without a `saved` view, the table has MLflow's own columns.
    """
    view = f"&viewStateShareKey={KEY}" if saved else ""
    return f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning{view}"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _state(columns: list[str]) -> dict[str, Any]:
    """Return the state of MLflow's page. A field that is absent may stop the page of 3.13, so all are given."""
    return {
        "searchFilter": f"tags.`{TAG_KIND}` != 'superseded'",
        "orderByKey": NEWEST_FIRST,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [RUN_NAME, *columns],
        "columnWidths": {RUN_NAME: NAME_WIDTH} | {column: _width(column) for column in columns},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _width(column: str) -> int:
    if column.startswith("params"):
        return max(90, min(8 * len(column) - 30, 160))
    return 70 if column == "metrics.`n`" else 95
