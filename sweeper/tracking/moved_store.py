"""Rebinds the artefacts that a copied or moved sqlite store names to the results folder that holds it now.

MLflow stores absolute paths and can't change them, so this writes two columns of its tables. Moves no file.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit


def rebind(database: Path, root: Path | None) -> None:
    """Let the store in `database` name its artefacts below `root`, if both lie in one results folder.

    A location that isn't in the folder for artefacts of any results folder was chosen by a person and stays. A store
    that can't be written stays as it is: sweeper itself finds its artefacts without that.
    """
    if root is None or root.parent != database.parent or not database.is_file():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as store, store:
        for number, location in store.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall():
            parts = urlsplit(location or "")
            folder = Path(unquote(parts.path) if parts.scheme else parts.path)
            if parts.scheme not in ("", "file") or folder.parent.name != root.name or folder.parent == root:
                continue
            here = str(root / folder.name)
            store.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (here, number))
            store.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (here, len(location) + 1, number, len(location) + 1, f"{location}/"),
            )
