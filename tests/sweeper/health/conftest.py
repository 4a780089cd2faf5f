"""No store of the caller's is asked."""

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
    ):
        monkeypatch.delenv(name, raising=False)
