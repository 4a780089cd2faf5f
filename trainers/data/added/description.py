"""The description of an added data set: what plans, reports and trainers know of it without its array.

A small JSON file. Its digest covers the array and everything else that decides which episodes are drawn and how their
pixels are scaled. It may come from elsewhere, in an archive, so reading one checks it. Opens no array.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainers.data.archives import DataError
from trainers.data.catalog import CATALOG, SPLITS, DatasetFacts, Split

FORM = 1
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
"""Of this form is the name of an added set. `null`, `true` and `false` are not texts in a sweep file."""
_NO_TEXT = frozenset({"null", "true", "false"})
LARGEST_SIDE = 4096
LONGEST_CLASS = 500  # characters of a class's name

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Origin(_Form):
    """Where a set came from: the folder as it then was, how it was read, and the options of `sweeper data add`."""

    folder: str
    layout: str
    options: dict[str, str | int]
    size: int
    mtime_ns: int


class Description(_Form):
    """One added set. `images` has the number of pictures of each class, in the order of `classes` and of the array.

    Classes stand in the order train, val, test. `array` is the sha256 of the array's bytes.
    """

    form: Literal[1]
    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    digest: Sha256
    array: Sha256
    image_shape: tuple[Literal[1, 3], Count, Count]
    splits: dict[Split, Count]
    classes: tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_CLASS)], ...]
    images: tuple[Count, ...]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[Annotated[float, Field(gt=0)], ...]
    origin: Origin

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        channels, height, width = self.image_shape
        if height != width or height > LARGEST_SIDE:
            raise ValueError(f"pictures of {height}x{width}")
        if not sum(self.splits.values()) == len(self.classes) == len(self.images) == len(set(self.classes)):
            raise ValueError("its splits, classes and numbers of images differ in length, or a class stands twice")
        if not {"train", "test"} <= self.splits.keys():
            raise ValueError("it lacks train or test classes")
        if not len(self.pixel_mean) == len(self.pixel_std) == channels:
            raise ValueError(
                f"{len(self.pixel_mean)} means and {len(self.pixel_std)} deviations of {channels} channels"
            )
        if self.digest != digest_of(self.model_dump(mode="json")):
            raise ValueError("its digest is not that of its content")
        return self

    @property
    def ragged(self) -> bool:
        """Whether classes differ in their number of images. Then the array has no axis of classes."""
        return len(set(self.images)) > 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array: [classes, images, C, H, W], or [images of all classes, C, H, W] if ragged."""
        first = (sum(self.images),) if self.ragged else (len(self.images), self.images[0])
        return (*first, *self.image_shape)

    def facts(self) -> DatasetFacts:
        """Return what the trainers ask of a data set."""
        return DatasetFacts(
            classes=len(self.classes),
            images_per_class=min(self.images),
            image_shape=self.image_shape,
            pixel_mean=self.pixel_mean,
            pixel_std=self.pixel_std,
            synthetic=False,
            digest=self.digest,
            images=self.images if self.ragged else (),
            splits=tuple((split, self.splits[split]) for split in SPLITS if split in self.splits),
            class_names=self.classes,
        )


_IN_DIGEST = ("array", "classes", "image_shape", "images", "pixel_mean", "pixel_std", "splits")


def digest_of(values: dict[str, Any]) -> str:
    """Return the sha256 of what a description says of the data, whatever its name and origin. `values` are plain."""
    kept = {name: values[name] for name in _IN_DIGEST}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def make(**values: Any) -> Description:
    """Return the description with these values, the digest among them. Raises ValidationError."""
    whole = values | {"form": FORM}
    plain = json.loads(json.dumps(whole))
    return Description.model_validate_json(json.dumps(plain | {"digest": digest_of(plain)}))


def from_json(content: bytes, path: Path) -> Description:
    """Return the description in `content`, the file at `path`. Raises DataError."""
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place}: {first['msg']}" if place else first["msg"].removeprefix("Value error, ")
        raise DataError(
            f"{path}: is no description of a data set ({what}); delete it and add the data set again"
        ) from None


def as_json(description: Description) -> bytes:
    """Return the bytes of a description's file."""
    return json.dumps(description.model_dump(mode="json"), indent=1).encode()


def fault_of_name(name: str) -> str:
    """Return why an added set may not be called `name`, or ""."""
    if name in CATALOG:
        return f"{name} is built in; choose another name"
    if not NAME.fullmatch(name) or name in _NO_TEXT:
        return (
            f"{name!r} can't name a data set; a name is a letter from a to z and at most 63 more of a-z, 0-9, _ and -, "
            "and not null, true or false"
        )
    return ""
