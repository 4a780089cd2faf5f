"""Whether a tracking store's tables are those of the installed MLflow. Imports no MLflow, which takes two seconds."""

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

LOGS_WHAT_IT_RAISES = "mlflow.store.db.utils"
"""MLflow's logger of a database's errors, with their tracebacks. MLflow then raises them, and we tell a sentence."""
_REFUSED = re.compile(r"out-of-date database schema \(found version (\w+), but expected (\w+)\)")


def known_revisions() -> frozenset[str]:
    """Return the revisions of the tables that the installed MLflow can migrate; empty if it can't be told."""
    found = find_spec("mlflow")
    if found is None or found.origin is None:
        return frozenset()
    versions = Path(found.origin).parent / "store" / "db_migrations" / "versions"
    return frozenset(path.name.partition("_")[0] for path in versions.glob("*_*.py"))


def newer_than_installed(revision: str) -> str:
    """Return what to do with a store whose tables have `revision`; empty if the installed MLflow knows it."""
    known = known_revisions()
    if not known or revision in known:
        return ""
    return (
        f"was made or migrated by a newer MLflow (its tables have revision {revision}) than the installed one, "
        f"{_installed()}; install that newer MLflow, or name another store with --tracking-uri"
    )


def other_schema(refusal: str) -> str:
    """Return what MLflow's `refusal` of a store's tables means, newer or older; empty if it is about something else."""
    found = _REFUSED.search(refusal)
    if found is None:
        return ""
    return newer_than_installed(found[1]) or (
        f"was made by an older MLflow (its tables have revision {found[1]}) than the installed one, {_installed()}; "
        f"make a copy of it, then migrate it with `mlflow db upgrade URI`"
    )


def _installed() -> str:
    try:
        return version("mlflow")
    except PackageNotFoundError:
        return "of an unknown version"
