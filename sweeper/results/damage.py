"""What is wrong with a trial's journal, how much of it is sound, and what is lost. Changes no file.

A journal is compared with the form of its lines, with its trial's id, and with the records in its own checkpoints,
which a digest protects. Imports no code of a trainer other than MAML. Does not cut a journal; see
`sweeper.results.mend`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple, get_args

from sweeper.host.devices import Device
from sweeper.planning.identity import TRAINER, identify, identity, trial_id
from sweeper.results.journal_form import Ended, Record, readable, sound_part
from sweeper.results.journal_lines import FORM, DamagedJournalError, Line, form_of, read_lines, split_lines
from sweeper.results.paths import FURTHEST, TrialPaths, step_of, whole_checkpoint
from trainers import state_file
from trainers.data.known_name import Known
from trainers.registry import find
from trainers.trainer import DEFAULT, ConfigError, Reference, Trainer

FINAL = ("done", "diverged")
"""After such an end nothing is trained, so what the journal lacks then would be missing for ever."""


class Damage(NamedTuple):
    """What is wrong with a journal: its whole `content`, the `sound` beginning, the `fault` and what is `lost`.

    `fault` follows the path of the journal in a message, `lost` is a part of a sentence.
    """

    content: bytes
    sound: bytes
    fault: str
    lost: str


def damage_of(paths: TrialPaths) -> Damage | None:
    """Return what is wrong with the journal of a trial, None if nothing is. An incomplete last line is no damage.

    Raises NewerJournalError for a form that this version doesn't know, OSError.
    """
    fault = ""
    try:
        for _ in read_lines(paths.journal):
            pass
    except DamagedJournalError as error:
        fault = error.fault
    except TypeError:  # a kind of another type, of which the form says more
        pass
    content = paths.journal.read_bytes() if paths.journal.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    form = sound_part(whole, paths.folder.name)
    number = form.lines + 1
    if form.fault and not fault.startswith(f":{number} "):
        fault = f", line {number}: {form.fault}"
    lines = [json.loads(line) for line in split_lines(whole[: form.size])]
    if found := _contradiction(paths, lines):
        number, fault = found[0], f", line {found[0]}: {found[1]}"
    if not fault:
        return None
    texts = split_lines(whole)
    sound, lost = b"".join(texts[: number - 1]), texts[number - 1 :]
    return Damage(content, sound, fault, f"{_counted(number, lost)}; {_left(paths, number - 1)}")


def _contradiction(paths: TrialPaths, lines: Sequence[Line]) -> tuple[int, str] | None:
    """Return the number of the first of `lines` that the trial's id or a checkpoint contradicts, and how."""
    return min(
        [*_of_other_trials(paths, lines), *_unlike_checkpoints(paths, lines)], key=lambda found: found[0], default=None
    )


def _of_other_trials(paths: TrialPaths, lines: Iterable[Line]) -> Iterator[tuple[int, str]]:
    """Yield each attempt whose config, data and recipe don't give the trial's id."""
    for number, line in enumerate(lines, start=1):
        if line["kind"] != "attempt":
            continue
        if form_of(line) == FORM:
            maml = find(Reference(DEFAULT, ""))
            if found := _one_off(line, maml):
                yield number, found
                continue
            try:
                fields = identity(maml, maml.resolve(line["config"]))
            except ConfigError:  # of a newer version
                continue
        else:
            left_out = ("seed", line["length"])
            fields = {name: value for name, value in line["config"].items() if name not in left_out}
            fields[TRAINER] = line["trainer"]
        point = identify({**fields, "seed": line["seed"]})
        made = trial_id(point=point, digest=line["digest"], recipe=line["recipe"])
        if (made, point) != (paths.folder.name, line["point"]) or line["config"].get("seed", line["seed"]) != line[
            "seed"
        ]:
            yield number, "its config, data and recipe are not those of the trial"


def _one_off(attempt: Line, trainer: Trainer) -> str:
    """Return which name in an attempt differs in one character from the known one that is missing there, or "".

    Such a name comes from a flipped bit. Other unknown names come from a newer version.
    """
    config, fields = attempt["config"], trainer.config.model_fields
    devices: tuple[str, ...] = get_args(Device)
    engines = {engine for device in devices for engine in trainer.engines(device)}
    pairs = [(name, fields.keys() - config.keys()) for name in config.keys() - fields.keys()]
    pairs += [
        (value, {*_choices(fields[name].annotation), *_names(fields[name].metadata)})
        for name, value in config.items()
        if name in fields and isinstance(value, str)
    ]
    pairs += [(attempt["engine"], engines), (attempt["device"], set(devices))]
    for name, known in pairs:
        for right in known if name not in known else ():
            if len(name) == len(right) and sum(one != other for one, other in zip(name, right, strict=True)) == 1:
                return f"{name!r} stands for {right!r}"
    return ""


def _names(metadata: Iterable[Any]) -> Iterator[str]:
    """Yield the names that a field's type allows, for a field that names a data set."""
    yield from (name for check in metadata if isinstance(check, Known) for name in check.names())


def _choices(annotation: Any) -> Set[str]:
    """Return the texts that a field's type allows by name."""
    inner = get_args(annotation)
    return {choice for choice in inner if isinstance(choice, str)}.union(
        *(_choices(each) for each in inner if not isinstance(each, str))
    )


def _unlike_checkpoints(paths: TrialPaths, lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """Yield each first record that differs from its own attempt's last checkpoint, and an end that lacks some of them.

    Only records of the same attempt are the same computation: a later attempt may train some steps again elsewhere.
    """
    last = lines[-1] if lines else None
    form = form_of(next((line for line in lines if line["kind"] == "attempt"), {}))
    seen = {(line["step"], line["key"]) for line in lines if line["kind"] == "record"}
    for attempt in {line["attempt"] for line in lines}:
        known = _records_of(paths, attempt, form)
        unchecked = dict(known)
        for number, line in enumerate(lines, start=1):
            if line["kind"] == "record" and line["attempt"] == attempt:
                value = unchecked.pop((line["step"], line["key"]), line["value"])
                if value != line["value"]:
                    yield number, f"its {line['key']} at step {line['step']} differs from that in the checkpoint"
        missing = sorted(known.keys() - seen)
        if missing and last is not None and last["kind"] in FINAL and last["attempt"] == attempt:
            named = f"{missing[0][1]} at step {missing[0][0]}"
            more = f" and {len(missing) - 1} other records" if missing[1:] else ""
            yield len(lines), f"{last['kind']}, but the lines of {named}{more} are missing before it"


def _records_of(paths: TrialPaths, attempt: int, form: int) -> dict[tuple[int, str], Any]:
    found = whole_checkpoint(paths, FURTHEST, attempt)
    if found is None:
        return {}
    try:
        records_in = find(Reference(DEFAULT, "")).records_in if form == FORM else state_file.records_in
        return {(step, key): value for step, key, value in records_in(found.payload)}
    except ValueError:
        return {}


def _counted(first: int, lost: Sequence[bytes]) -> str:
    """Return which lines are lost, and how many records and ends among them can still be read."""
    which = f"line {first} is" if len(lost) == 1 else f"lines {first} to {first + len(lost) - 1} are"
    read = [line for line in map(readable, lost) if line is not None]
    steps = [line.step for line in read if isinstance(line, Record)]
    spoken = []
    if steps:
        at = f"step {steps[0]}" if min(steps) == max(steps) else f"steps {min(steps)} to {max(steps)}"
        spoken.append(f"{len(steps)} record{'s' * (len(steps) > 1)} of {at}")
    spoken += [f"the end ({line.kind} at step {line.step})" for line in read if isinstance(line, Ended)]
    return f"{which} lost{', with ' * bool(spoken)}{' and '.join(spoken)}"


def _left(paths: TrialPaths, sound_lines: int) -> str:
    kept = f"line{'s 1 to' * (sound_lines > 1)} {sound_lines} {'are' if sound_lines > 1 else 'is'} sound"
    found = whole_checkpoint(paths, FURTHEST)
    if found is None:
        back = "there is no whole checkpoint, so it trains from step 0 again"
    else:
        back = f"the checkpoint of step {step_of(found.path)} has every record up to there"
    return f"{kept if sound_lines else 'no line is sound'}, and {back}"
