"""Networks of a user's own for tests, in a file, and the configs that name them."""

from pathlib import Path
from typing import Any

from tests.trainers.small import tiny_config
from trainers.maml.config import TrialConfig

SOURCE = (Path(__file__).parent / "nets.py").read_text(encoding="utf-8")


def write(folder: Path, source: str = SOURCE, name: str = "net.py") -> Path:
    """Write `source` into a file of `folder`, and return its path."""
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return path


def own_config(path: Path, function: str = "Small", **values: Any) -> TrialConfig:
    """Return a small config with a network of the file `path`, where one has none of the small config's channels."""
    channels = {} if function == "conv4" else {"channels": 64}
    return tiny_config(**{"network": f"{path}:{function}"} | channels | values)
