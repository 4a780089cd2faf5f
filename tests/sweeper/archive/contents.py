"""What is in a results folder and in an archive, and archives that no export wrote."""

import json
import zipfile
from pathlib import Path

from sweeper.archive.format import sha256
from sweeper.results.paths import CHECKPOINT_SUFFIX


def snapshot(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, but for lock files, which name their holder."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def trials(root: Path) -> dict[str, bytes]:
    """Return what an archive carries: journals and checkpoints."""
    carried = ("/journal.jsonl", CHECKPOINT_SUFFIX)
    return {name: content for name, content in snapshot(root).items() if name.endswith(carried)}


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def forge(path: Path, content: dict[str, bytes], *, manifest: dict | None = None, listed: bool = True) -> Path:
    """Write an archive of `content`, with a manifest that agrees with it unless `listed` is False."""
    facts = json.loads(content["manifest.json"]) | (manifest or {})
    rest = {name: data for name, data in content.items() if name != "manifest.json"}
    if listed:
        facts["members"] = [{"name": n, "size": len(d), "sha256": sha256(d)} for n, d in rest.items()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("manifest.json", json.dumps(facts))
        for name, data in rest.items():
            made.writestr(name, data)
    return path
