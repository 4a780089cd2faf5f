"""Loads MLflow, and turns its errors into ours. The only file of sweeper that imports mlflow."""

import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

from analysis.contract.store_schema import LOGS_WHAT_IT_RAISES
from sweeper.errors import TrackingError
from sweeper.tracking.address import explain

EXPERIMENTS_A_PAGE = 1000
DEFAULT_EXPERIMENT = "Default"  # MLflow makes it in every store


@contextmanager
def explaining(mlflow: ModuleType, uri: str, *, reading: bool = False) -> Iterator[None]:
    """Turn the errors of MLflow and of the connection to its store into a TrackingError, as `explain` words it."""
    errors = (
        mlflow.MlflowException,
        importlib.import_module("sqlalchemy.exc").SQLAlchemyError,  # a file that isn't a database
        importlib.import_module("google.protobuf.json_format").ParseError,  # an answer of unexpected form
        OSError,  # from requests or from the disk
        ImportError,  # a database's driver is missing
        ValueError,  # an invalid address or MLFLOW_... variable
    )
    try:
        yield
    except errors as error:
        raise explain(error, uri, reading=reading) from error


def load_mlflow() -> ModuleType:
    """Import MLflow without telemetry, without silent truncation, and without minutes of retries on a dead server."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_TRUNCATE_LONG_VALUES"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # a write that returns has reached the store
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        mlflow = importlib.import_module("mlflow")
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"MLflow can't be loaded ({error}); install it with `pip install mlflow`, or give --tracking-uri none and "
            f"send the journals later with `sweeper sync FILE`"
        ) from None
    for chatty in ("alembic", "mlflow"):  # MLflow sets these when it is imported
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger(LOGS_WHAT_IT_RAISES).setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it logs every failed retry
    return mlflow


def every_experiment(uri: str) -> list[tuple[str, str, Mapping[str, str]]]:
    """Return id, name and tags of each experiment of the store at `uri`, the newest first. Raises TrackingError."""
    mlflow = load_mlflow()
    with explaining(mlflow, uri, reading=True):
        found = mlflow.MlflowClient(tracking_uri=uri).search_experiments(max_results=EXPERIMENTS_A_PAGE)
        return [(one.experiment_id, one.name, one.tags) for one in found if one.name != DEFAULT_EXPERIMENT]
