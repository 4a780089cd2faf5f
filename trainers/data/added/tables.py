"""Pictures that a CSV lists with their class and split, in one table or in one for each split. Reads no picture."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trainers.data.added.listing import SPLIT_NAMES, Listing, OwnClass
from trainers.data.added.pictures import FilePicture
from trainers.data.archives import DataError, contents
from trainers.data.catalog import SPLITS, Split

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "filename", "file_name", "filepath", "image", "image_path", "img", "path"),
    "class": ("class", "label", "class_name", "category"),
    "split": ("split", "set", "subset", "phase"),
}
"""How the columns of a table may be called, in lower case."""


class _Row(NamedTuple):
    line: int
    file: str
    label: str
    split: str | None


def tables_in(folder: Path) -> list[tuple[Path, Split | None]]:
    """Return the tables of a folder: train.csv, val.csv and test.csv in it or in `split`, else its only CSV."""
    for place in (folder, folder / "split", folder / "splits"):
        found = [(place / f"{split}.csv", split) for split in SPLITS if (place / f"{split}.csv").is_file()]
        if found:
            return list(found)
    alone = sorted(folder.glob("*.csv"))
    return [(alone[0], None)] if len(alone) == 1 else []


def fits(table: Path) -> bool:
    """Return whether a table names a file and a class in each row. Raises DataError."""
    return None not in (_columns(_lines(table))[name] for name in ("file", "class"))


def listed(folder: Path, tables: Sequence[tuple[Path, Split | None]]) -> Listing:
    """Return the classes that `tables` list; paths are relative to the table, `folder`, or `images` in it.

    Raises DataError for a table that can't be read or lacks a column.
    """
    faults: list[str] = []
    pictures: dict[str, list[FilePicture]] = {}
    splits: dict[str, dict[str, None]] = {}
    seen: dict[str, str] = {}
    for table, of_table in tables:
        for row in _rows(table):
            where = f"{table.name} line {row.line}"
            split = of_table if of_table else None if row.split is None else SPLIT_NAMES.get(row.split.lower(), "")
            if split == "":
                faults.append(f"{where}: split {row.split!r} is none of train, val and test")
            path = _found(folder, table, row)
            if path is None:
                faults.append(f"{where}: there is no file {row.file}")
                continue
            if path in seen:
                faults.append(f"{where}: {row.file} stands in {seen[path]} already")
                continue
            seen[path] = where
            pictures.setdefault(row.label, []).append(FilePicture(path, row.file))
            splits.setdefault(row.label, {})[split or ""] = None
    for name, found in splits.items():
        if len(found) > 1:
            faults.append(f"class {name}: stands in {' and '.join(map(_split_words, found))}; a class has one split")
    classes = [OwnClass(name, _one_split(splits[name]), _sorted(members)) for name, members in pictures.items()]
    names = ", ".join(table.name for table, _ in tables)
    return Listing(layout=f"table {names}" if len(tables) == 1 else f"tables {names}", classes=classes, faults=faults)


def _sorted(pictures: list[FilePicture]) -> list[FilePicture]:
    """Return pictures by the names of their files, wherever they lie."""
    return sorted(pictures, key=lambda one: (Path(one.path).name, one.path))


def _split_words(split: str) -> str:
    return split or "no split"


def _one_split(found: Mapping[str, None]) -> Split | None:
    first = next(iter(found))
    return SPLIT_NAMES[first] if first else None


def _found(folder: Path, table: Path, row: _Row) -> str | None:
    """Return the path of a row's picture; it may also lie in a folder of its class."""
    for place in (table.parent, folder, folder / "images", folder / row.label, folder / "images" / row.label):
        path = place / row.file
        if path.is_file():
            return str(path)
    return None


def _rows(table: Path) -> Iterator[_Row]:
    lines = _lines(table)
    places = _columns(lines)
    if places["file"] is None or places["class"] is None:
        header = ", ".join(lines[0][1]) if lines else "none"
        raise DataError(
            f"{table}: its columns are {header}; it must have one of {', '.join(_COLUMNS['file'])} and one of "
            f"{', '.join(_COLUMNS['class'])}, and may have one of {', '.join(_COLUMNS['split'])}"
        )
    for number, cells in lines[1:]:
        if any(cell.strip() for cell in cells):
            file, label, split = (_cell(cells, places[meaning]) for meaning in ("file", "class", "split"))
            if not file or not label:
                raise DataError(f"{table}: line {number} lacks a file or a class; complete or remove it")
            yield _Row(number, file, label, split)


def _lines(table: Path) -> list[tuple[int, list[str]]]:
    """Return the cells of each line with its number; commas, semicolons or tabs separate them."""
    (content,) = contents([(table.parent, table.name)])
    text = content.decode("utf-8-sig", errors="replace")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
    try:
        return [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{table}: line {reader.line_num} can't be read ({error}); save it as plain CSV") from None


def _columns(lines: Sequence[tuple[int, list[str]]]) -> dict[str, int | None]:
    """Return the column of a file, a class and a split, None where the first line names none."""
    header = [name.strip().lower() for name in lines[0][1]] if lines else []
    return {
        meaning: next((header.index(name) for name in names if name in header), None)
        for meaning, names in _COLUMNS.items()
    }


def _cell(cells: Sequence[str], place: int | None) -> str | None:
    return None if place is None else cells[place].strip() if place < len(cells) else ""
