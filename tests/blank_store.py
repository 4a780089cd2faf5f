"""A blank MLflow store on sqlite, made once and copied: each would take a second of migrations to make.

The copy has what MLflow would have made. All that this project does with a new store is done to the copy.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import mlflow
from mlflow.store.db import utils
from mlflow.store.model_registry import sqlalchemy_store as registry
from sqlalchemy import Engine, create_engine

from tests.places import ROOT


def copy_from_now_on() -> None:
    """Have MLflow fill each blank sqlite store of this process and its forks with a copy of one that it makes here."""
    utils._initialize_tables = registry._initialize_tables = _copy
    utils._get_latest_schema_revision = latest_schema


def _copy(engine: Engine) -> None:
    if engine.dialect.name != "sqlite" or not utils._is_empty_database(engine):
        _make(engine)
        return
    with closing(sqlite3.connect(":memory:")) as blank, closing(engine.raw_connection()) as connection:
        blank.deserialize(made())
        blank.backup(connection.driver_connection)


_make = utils._initialize_tables
latest_schema = cache(utils._get_latest_schema_revision)
"""MLflow looks through all of its migrations at each opening of a store, twice."""


@cache
def made() -> bytes:
    """Return the content of a blank store that this version of MLflow has made, now or in an earlier run."""
    kept = ROOT / ".pytest_cache" / f"blank-store-of-mlflow-{mlflow.__version__}"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        new = kept.with_name(f"{kept.name}.{os.getpid()}")
        new.write_bytes(_new())
        new.replace(kept)
    return kept.read_bytes()


def _new() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "blank.db")
        engine = create_engine(f"sqlite:///{file}")
        _make(engine)
        engine.dispose()
        with closing(sqlite3.connect(file)) as database:
            return database.serialize()
