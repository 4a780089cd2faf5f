"""The artefacts of runs: on this machine where they lie here, and through MLflow's client where a server keeps them."""

import gzip
import json
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.contract.record import ARTIFACT
from sweeper.tracking.address import artifact_folder
from sweeper.tracking.run_contents import Shown
from trainers.sealed_file import write_whole


class Artefacts:
    """The artefacts of one store; `root` is their folder if this process writes the store's database itself."""

    def __init__(self, client: Any, uri: str, root: Path | None) -> None:
        self._client, self._uri, self.root = client, uri, root

    def checkpoints(self, run: Shown) -> set[str]:
        folder = artifact_folder(run.artifact_uri, self._uri, self.root)
        if folder is None:
            return {found.path for found in self._client.list_artifacts(run.run_id, "checkpoint")}
        return {f"checkpoint/{path.name}" for path in (folder / "checkpoint").glob("*")}

    def place(self, run: Shown, files: Mapping[str, bytes]) -> None:
        """Write artefacts of a run; a name may have a folder before it."""
        folder = artifact_folder(run.artifact_uri, self._uri, self.root)
        if folder is None:
            with tempfile.TemporaryDirectory() as outbox:
                for name, content in files.items():
                    path = Path(outbox) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                self._client.log_artifacts(run.run_id, outbox)
            return
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)  # not by MLflow, which knows only the folder's first place
            write_whole(path, content)

    def lost(self, run: Shown) -> bool:
        """Return whether the run's local artefact is gone or damaged."""
        folder = artifact_folder(run.artifact_uri, self._uri, self.root)
        if folder is None:
            return False
        try:
            json.loads(gzip.decompress((folder / ARTIFACT).read_bytes()))
        except (OSError, EOFError, zlib.error, ValueError):
            return True
        return False
