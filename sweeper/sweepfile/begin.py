"""A commented sweep file to begin with, and the JSON schema beside it, by which an editor completes and checks it."""

import json
import re
from pathlib import Path

from sweeper.errors import SweepError, shown
from sweeper.sweepfile.schema import SCHEMA_FILE, schema
from trainers.sealed_file import write_together

DEFAULT_NAME = "my_question"  # the template's own
_TEMPLATE = Path(__file__).parent / "template.yaml"


def template(name: str = DEFAULT_NAME) -> str:
    """Return the text of a commented sweep file, whose sweep is named `name`."""
    return _TEMPLATE.read_text(encoding="utf-8").replace(DEFAULT_NAME, name)


def schema_text() -> str:
    """Return the JSON schema of sweep files as text."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def begin(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `NAME.yaml` and the schema into `folder`, and return their paths. An older schema is replaced.

    Raises SweepError if `name` can't be a sweep's name or the file exists, OSError if `folder` can't be written.
    """
    name = name.removesuffix(".yaml")
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", name):
        raise SweepError(f"a sweep's name is 1 to 64 of a-z, 0-9, _ and -, got {shown(name)}; give such a name")
    file, beside = folder / f"{name}.yaml", folder / SCHEMA_FILE
    if file.exists() or file.is_symlink():
        raise SweepError(f"{file} exists and was not changed; give another name, or remove the file")
    write_together([(beside, schema_text().encode()), (file, template(name).encode())])
    return file, beside
