"""`sweeper export`: write all results of a sweep into one file."""

from pathlib import Path

import click

from sweeper.cli.options import (
    only_option,
    profile_option,
    results_option,
    set_option,
    sweep_file,
    with_errors_shown,
)
from sweeper.cli.terminal.printing import hand_out, say
from sweeper.results.paths import Results


@click.command()
@sweep_file
@profile_option
@results_option
@only_option
@set_option
@click.option(
    "--out",
    metavar="ARCHIVE",
    type=click.Path(path_type=Path),
    help="File to write [default: NAME.zip or NAME@PROFILE.zip here].",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@with_errors_shown
def export(
    file: Path,
    profile: str | None,
    results: Path,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path | None,
    force: bool,
) -> None:
    """Write the journals and last good checkpoints of sweep FILE into one archive, and print its path.

    The results folder is not changed. For a trial that is being trained, the archive has what is on disk now.

    \b
    Example:
      sweeper export sweeps/quickstart.yaml --out quickstart.zip
    """
    from sweeper.archive.export import export as export_trials
    from sweeper.planning.selectors import select
    from sweeper.results.known_trainers import sweep_in
    from sweeper.results.survey import experiment_name
    from sweeper.search.trials import planned

    folder = Results.at(results)
    sweep = sweep_in(file, folder, settings)
    specs = select(planned(sweep, profile, folder, folder.digests()), only, "--only")
    target = out or Path(f"{experiment_name(sweep, profile)}.zip")
    exported = export_trials(sweep, profile, specs, folder, target, force=force)
    say(f"{exported.trials} of {len(specs)} trials, {exported.checkpoints} checkpoints, {exported.size} bytes")
    for trial_id in exported.running:
        say(f"{trial_id}: still running; the archive has its journal up to now")
    hand_out(target)
