"""A blank MLflow store on sqlite, made once in a process and copied: each would take a second of migrations to make.

The copy has what MLflow would have made. All that this project does with a new store is done to the copy.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mlflow.store.db import utils
from mlflow.store.model_registry import sqlalchemy_store as registry
from sqlalchemy import Engine, create_engine


def copy_from_now_on() -> None:
    """Have MLflow fill each blank sqlite store of this process and its forks with a copy of one that it makes here."""
    make, content = utils._initialize_tables, _made()

    def copy(engine: Engine) -> None:
        if engine.dialect.name != "sqlite" or not utils._is_empty_database(engine):
            make(engine)
            return
        with closing(sqlite3.connect(":memory:")) as blank, closing(engine.raw_connection()) as connection:
            blank.deserialize(content)
            blank.backup(connection.driver_connection)

    utils._initialize_tables = registry._initialize_tables = copy


@contextmanager
def copied() -> Iterator[None]:
    """Have MLflow fill blank stores with copies in this block alone."""
    make = utils._initialize_tables
    copy_from_now_on()
    try:
        yield
    finally:
        utils._initialize_tables = registry._initialize_tables = make


def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "blank.db")
        engine = create_engine(f"sqlite:///{file}")
        utils._initialize_tables(engine)
        engine.dispose()
        with closing(sqlite3.connect(file)) as database:
            return database.serialize()
