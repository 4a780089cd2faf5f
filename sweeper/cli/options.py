"""What several commands share: their options, and the exit codes of errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from sweeper.cli.terminal.printing import ReaderGoneError, say
from sweeper.errors import SweepError, of_os
from sweeper.tracking.address import given_uri, holds_secret
from trainers.data.archives import DataError
from trainers.trainer import TrainerError

_FOLDER = click.Path(file_okay=False, path_type=Path)

# A path, or the name of a shipped sweep: `sweeper.sweepfile.sweep.load` reads both
sweep_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
sweep_files = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(dir_okay=False, path_type=Path)
)
results_option = click.option(
    "--results", type=_FOLDER, default="results", show_default=True, help="Folder of journals, checkpoints and store."
)


def completing(name: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a function that completes as `sweeper.cli.completion` does by that name; it is imported when called."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from sweeper.cli import completion

        found: list[CompletionItem] = getattr(completion, name)(context, parameter, incomplete)
        return found

    return complete


profile_option = click.option(
    "--profile", metavar="NAME", shell_complete=completing("profiles"), help="A profile of the sweep file."
)
data_root_option = click.option(
    "--data-root", type=_FOLDER, help="Folder of the data sets [default: SWEEPER_DATA, else the user's cache]."
)


def _uri(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the store's URI; warn if a secret in it stands in the command line."""
    if value is None:
        return None
    with errors_shown():
        uri = given_uri(value)
    if uri == value and holds_secret(uri):
        say(
            "--tracking-uri has a password in it, which other users of this machine can read in the list of processes; "
            "set MLFLOW_TRACKING_URI instead, or give --tracking-uri @FILE with a file that only you can read"
        )
    return uri


tracking_option = click.option(
    "--tracking-uri",
    metavar="URI|@FILE",
    callback=_uri,
    help="MLflow store, or a file that holds its URI [default: MLFLOW_TRACKING_URI, else sqlite in the results].",
)
only_option = click.option(
    "--only",
    multiple=True,
    metavar="SELECTOR",
    shell_complete=completing("selectors"),
    help="Only these trials: axis=label,field=value or the start of an id.",
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Another value than the file's for a try, under an experiment name of its own.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class _Failure(click.ClickException):
    """An error for the user: prints its message unchanged on stderr and exits with the code of its kind."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance, its types say class

    def show(self, file: Any = None) -> None:
        say(self.message)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn an error for the user into its message and exit code. Any other error is a bug and keeps its traceback.

    What the operating system refuses is an error for the user too: nearly always it is about a path that the user gave.
    """
    try:
        yield
    except SweepError as error:
        raise _Failure(str(error), error.exit_code) from None
    except (DataError, TrainerError) as error:
        raise _Failure(str(error), SweepError.exit_code) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
    except ReaderGoneError:  # the command only prints, and its reader is gone
        raise click.exceptions.Exit(0) from None
    except BrokenPipeError as error:
        raise _Failure(f"{error}: a process or a store closed its connection; run the same command again", 4) from None
    except OSError as error:
        told = of_os(error)
        raise _Failure(str(told), told.exit_code) from None


def with_errors_shown(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command's function with `errors_shown`."""
    from functools import wraps

    @wraps(command)
    def guarded(*arguments: Any, **options: Any) -> Any:
        with errors_shown():
            return command(*arguments, **options)

    return guarded
