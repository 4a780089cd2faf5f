"""`python -m trainers CONFIG.yaml`: train one config and print its measurements as JSON lines. Needs nothing else."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from trainers.maml import protocols
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.network_names import is_own, located
from trainers.trainer import ConfigError


def read_config(path: Path) -> TrialConfig:
    """Return the config in `path`: field names to values, and `use:` for a protocol that they override.

    Raises ValueError with one line for a faulty file, or one for each faulty field.
    """
    try:
        values: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: a config maps field names to values; see trainers/maml/protocols/ for examples")
    values = dict(values)
    protocol = values.pop("use", None)
    if protocol is not None and protocol not in protocols.names():
        raise ValueError(f"{path}: use: {protocol!r} is not a protocol; known are {', '.join(protocols.names())}")
    try:
        return resolve({**(protocols.load(protocol) if protocol else {}), **values})
    except ConfigError as error:
        raise ValueError(
            "\n".join(f"{path}: {problem.field}: {problem.message}" for problem in error.problems)
        ) from None


def main(arguments: list[str] | None = None) -> int:
    """Train and print; return the exit code: 0 done, 2 bad input, 3 diverged."""
    parser = argparse.ArgumentParser(prog="python -m trainers", description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file of config fields; `use: omniglot` starts from a protocol")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (default: SWEEPER_DATA, or the cache)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="the last bits depend on it; sweeper's workers have one")
    options = parser.parse_args(arguments)
    try:
        config = located(read_config(options.config), str(options.config.absolute().parent))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2

    if importlib.util.find_spec("fcntl") is None:
        print(
            "trainers needs the file locks of POSIX; on Windows, install it in WSL 2 and run it there", file=sys.stderr
        )
        return 2

    import torch

    if is_own(config.network):
        from trainers.maml.networks.examined import fault

        field, message = fault(config)
        if message:
            print(f"{options.config}: {field}: {message}", file=sys.stderr)
            return 2
    from trainers.data.datasets import DataError, data_root, prepare
    from trainers.data.on_device import DeviceError, load_pixels
    from trainers.maml.engines.table import fastest
    from trainers.maml.train import train

    try:
        engine = fastest(config, options.device)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        pixels = load_pixels(prepare(config.dataset, data_root(options.data_root)), options.device)
    except (DataError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    for chunk in train([config], pixels, engine=engine):
        (run,) = chunk.runs
        for record in run.records:
            print(json.dumps(record._asdict()), flush=True)
        if run.message:
            print(run.message, file=sys.stderr)
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
