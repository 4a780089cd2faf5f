"""docker-compose.yml against the Compose specification, the commands that it starts, and what it promises."""

import importlib.metadata
import json
import re
import subprocess
import sys
import warnings
from importlib.resources import files

import click
import jsonschema
import pytest
from ruamel.yaml import YAML

from sweeper.cli import main
from tests.places import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = json.loads(json.dumps(YAML(typ="safe").load(TEXT)))
SERVICES = COMPOSE["services"]
DRIVER = "sweeper"
"""The service that `docker compose run` starts, and which ends with its command."""


def once() -> set[str]:
    """Return the services that somebody waits to see end."""
    waited = [depends for service in SERVICES.values() for depends in service.get("depends_on", {}).items()]
    return {name for name, how in waited if how["condition"] == "service_completed_successfully"}


def lasting() -> list[str]:
    return sorted(SERVICES.keys() - once() - {DRIVER})


def test_the_file_is_what_the_compose_specification_allows():
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    assert schema["title"] == "Compose Specification"
    faults = jsonschema.Draft7Validator(schema).iter_errors(COMPOSE)
    assert [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in faults] == []


def test_the_issues_parts_are_there():
    assert {"postgres", "objects", "mlflow", "ray-head", "ray-worker", "ray-worker-gpu", DRIVER} <= SERVICES.keys()
    assert SERVICES["ray-worker-gpu"]["profiles"] == ["gpu"]
    (device,) = SERVICES["ray-worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    unasked = {name for name, service in SERVICES.items() if not service.get("profiles")}
    assert unasked == {"postgres", "objects", "bucket", "mlflow", "ray-head", "ray-worker"}
    ours = {name: service["image"] for name, service in SERVICES.items() if "build" in service}
    assert {"mlflow", "ray-head", "ray-worker", "ray-worker-gpu", DRIVER} <= ours.keys()
    assert len(set(ours.values())) == 1


@pytest.mark.parametrize("name", lasting())
def test_every_service_that_lasts_has_a_health_check(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries"} <= check.keys()


def test_nothing_is_published_beyond_this_machine():
    ports = {name: port for name, service in SERVICES.items() for port in service.get("ports", [])}
    assert ports == {"mlflow": "127.0.0.1:5000:5000", "ray-head": "127.0.0.1:8265:8265"}
    assert not any("network_mode" in service for service in SERVICES.values())


def test_no_secret_stands_in_the_file_and_a_missing_one_is_said():
    secret = re.compile(r"PASSWORD|SECRET|TOKEN")
    given = [(name, value) for service in SERVICES.values() for name, value in service.get("environment", {}).items()]
    secrets = {(name, value) for name, value in given if secret.search(name)}
    assert {name for name, _ in secrets} >= {
        "POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY", "MLFLOW_AUTH_ADMIN_PASSWORD", "RAY_AUTH_TOKEN",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
    }  # fmt: skip
    said = re.compile(r"\$\{[A-Z_]+:\?[^}]+ is missing; docs/compose\.md [^}]+\}")
    assert [pair for pair in secrets if not said.fullmatch(pair[1])] == []
    assert not re.search(r"://[^/\s]*:[^/\s]*@", TEXT), "a URI holds a password"
    assert "/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ".env" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_the_line_that_makes_the_secrets_makes_all_that_are_asked_for(tmp_path):
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))
    page = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^    (\(umask .*)$", page, re.MULTILINE)
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    made = dict(one.split("=", 1) for one in (tmp_path / ".env").read_text().splitlines())
    assert made.keys() == asked
    assert len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in made.values())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_every_image_and_package_is_pinned():
    images = {service["image"] for service in SERVICES.values()}
    images |= set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert [image for image in images if not re.search(r":v?\d+\.\d+", image)] == []
    (command,) = re.findall(r"^RUN pip install --user --no-cache-dir \\\n((?:    .*\n)+)", DOCKERFILE, re.MULTILINE)
    packages = [word.strip('"') for word in command.replace("\\", "").split()]
    assert len(packages) >= 6
    assert [package for package in packages if not re.fullmatch(r"[\w-]+(\[[\w,]+\])?==[\d.]+", package)] == []


def test_what_the_image_installs_is_what_the_project_allows():
    wanted = importlib.metadata.requires("sweeper") or []
    from packaging.requirements import Requirement

    bounds = {Requirement(text).name: Requirement(text).specifier for text in wanted}
    pinned = dict(re.findall(r"([a-z0-9-]+)(?:\[[\w,]+\])?==([\d.]+)", DOCKERFILE))
    assert {"torch", "torchvision", "ray", "mlflow", "psycopg2-binary", "boto3"} <= pinned.keys()
    assert [name for name, version in pinned.items() if name in bounds and version not in bounds[name]] == []


def test_all_that_is_kept_is_in_named_volumes():
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == set(COMPOSE["volumes"])
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))
    shared = [set(SERVICES[name]["volumes"]) for name in ("ray-head", "ray-worker", "ray-worker-gpu", DRIVER)]
    assert {"results:/lab/results", "data:/data"} <= set.intersection(*shared)


@pytest.mark.slow
def test_mlflow_is_on_postgresql_behind_a_password_and_serves_the_artefacts_itself():
    command = parsed("mlflow", SERVICES["mlflow"]["command"])
    assert command["backend_store_uri"].startswith("postgresql+psycopg2://mlflow@postgres")
    assert (command["serve_artifacts"], command["artifacts_destination"]) == (True, "s3://mlflow")
    assert command["app_name"] == "basic-auth"
    assert "*" not in command["allowed_hosts"]
    assert set(command["allowed_hosts"].split(",")) == {"mlflow:5000", "localhost:5000", "127.0.0.1:5000"}
    auth = COMPOSE["configs"]["auth"]["content"]
    assert "default_permission = NO_PERMISSIONS" in auth
    assert SERVICES["mlflow"]["environment"]["MLFLOW_TRACKING_USERNAME"] in auth


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "ray-worker-gpu"])
def test_every_ray_command_parses_and_wants_a_token(name):
    service = SERVICES[name]
    start = parsed(*service["entrypoint"], service["command"])
    assert start["head"] == (name == "ray-head")
    assert start["address"] == (None if name == "ray-head" else "ray-head:6379")
    assert start["num_gpus"] == (None if name == "ray-worker-gpu" else 0)
    assert service["environment"]["RAY_AUTH_MODE"] == "token"
    assert parsed("ray", service["healthcheck"]["test"][2:])["address"] == "ray-head:6379"


def test_what_python_is_told_compiles():
    programs = [SERVICES["bucket"]["command"][0], SERVICES["mlflow"]["healthcheck"]["test"][-1]]
    for program in programs:
        compile(program, "docker-compose.yml", "exec")


STUB = 'echo "${0##*/} $*" >> "$CALLS"\n'


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (
            ["run", "sweeps/quickstart.yaml"],
            [
                "ray start --address=ray-head:6379 --num-cpus=0 --num-gpus=0",
                "sweeper run --address ray-head:6379 sweeps/quickstart.yaml",
            ],
        ),
        (["report", "sweeps/quickstart.yaml"], ["sweeper report sweeps/quickstart.yaml"]),
    ],
)
def test_the_driver_starts_what_its_command_needs(tmp_path, words, calls):
    for name in ("ray", "sweeper"):
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\n{STUB}")
        stub.chmod(0o755)
    log = tmp_path / "calls"
    entrypoint = [word.replace("$$", "$") for word in SERVICES[DRIVER]["entrypoint"]]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": str(log), "SWEEPER_ADDRESS": "ray-head:6379"}
    assert SERVICES[DRIVER]["environment"]["SWEEPER_ADDRESS"] == "ray-head:6379"
    subprocess.run([*entrypoint, *words], env=environment, check=True)
    assert log.read_text().splitlines() == calls
    for call in calls:
        program, *arguments = call.split()
        parsed(program, arguments)


def test_the_commands_that_are_the_whole_story_are_in_the_file_and_the_docs():
    whole = ["docker compose up -d", "docker compose run --rm sweeper run sweeps/quickstart.yaml"]
    page = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
    assert all(line in TEXT and line in page for line in whole)


def parsed(program: str, arguments: list[str]) -> dict[str, object]:
    """Return what the program's own parser makes of `arguments`; it exits where they are wrong."""
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in arguments]
    name, *rest = words
    command = _group(program).get_command(click.Context(_group(program)), name)
    assert command is not None, f"{program} has no command {name}"
    return command.make_context(name, rest, resilient_parsing=False).params


def _group(program: str) -> click.Group:
    if program == "sweeper":
        return main
    if program == "mlflow":
        with warnings.catch_warnings(action="ignore"):  # of MLflow about parts of its own
            from mlflow.cli import cli
        return cli
    assert program == "ray"
    from ray.scripts.scripts import cli as ray

    return ray


def test_this_test_sees_a_wrong_option():
    with pytest.raises(click.NoSuchOption):
        parsed("ray", ["start", "--hed"])
    assert sys.modules["ray.scripts.scripts"]
