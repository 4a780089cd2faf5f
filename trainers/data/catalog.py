"""The built-in data sets by name: shapes, splits and digests, as constants.

Planning a sweep and checking a config need these facts but no data, so this module opens no file. What is known of any
set, added ones included, is in `trainers.data.facts`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

DatasetName = Literal["omniglot", "strokes", "mini_imagenet"]
Split = Literal["train", "val", "test"]
OmniglotSplit = Literal["1200/423", "1028/172/423"]

SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """The constants of one data set.

    `image_shape` is (channels, height, width); `pixel_mean` and `pixel_std` normalise pixels scaled to [0, 1],
    one entry per channel; `digest` is the sha256 of the converted uint8 array [classes, images, C, H, W].
    An added set (`trainers.data.added`) says more: the number of `images` of each class if they differ (then
    `images_per_class` is the least), the number of classes of its `splits`, and its `class_names`.
    """

    classes: int
    images_per_class: int
    image_shape: tuple[int, int, int]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    synthetic: bool
    digest: str
    images: tuple[int, ...] = ()
    splits: tuple[tuple[Split, int], ...] = ()
    class_names: tuple[str, ...] = ()


CATALOG: dict[str, DatasetFacts] = {
    "omniglot": DatasetFacts(
        classes=1623,
        images_per_class=20,
        image_shape=(1, 28, 28),
        pixel_mean=(0.0,),  # the paper neither inverts nor normalises Omniglot
        pixel_std=(1.0,),
        synthetic=False,
        digest="974a13f4a18a9e0bf5524829b8a4abbb127c1c956fc9305874c37fbd461c0a45",
    ),
    "strokes": DatasetFacts(
        classes=500,
        images_per_class=20,
        image_shape=(1, 28, 28),
        pixel_mean=(0.0,),
        pixel_std=(1.0,),
        synthetic=True,
        digest="06c69bdd2e2ed70c327163f96a2392b312cf49a1623505a419d84b35d903ae6b",
    ),
    "mini_imagenet": DatasetFacts(
        classes=100,
        images_per_class=600,
        image_shape=(3, 84, 84),
        pixel_mean=(0.485, 0.456, 0.406),  # ImageNet statistics, as in the released code
        pixel_std=(0.229, 0.224, 0.225),
        synthetic=False,
        digest="110bd87601e8179c88d1173899e4d2eacc04931e749bc74ec3d0bb122df79bb5",
    ),
}


@cache
def class_ranges(dataset: str, omniglot_split: OmniglotSplit) -> dict[Split, range]:
    """Return the rows of a built-in set's array in each split; a split that the data set lacks is absent.

    Omniglot's classes are ordered by alphabet and character. "1200/423" is the split of the paper's released code,
    without validation classes; "1028/172/423" is the split that the paper prints.
    """
    if dataset == "strokes":
        sizes: dict[Split, int] = {"train": 350, "val": 50, "test": 100}
    elif dataset == "mini_imagenet":
        sizes = {"train": 64, "val": 16, "test": 20}
    elif omniglot_split == "1200/423":
        sizes = {"train": 1200, "test": 423}
    else:
        sizes = {"train": 1028, "val": 172, "test": 423}
    ranges, start = {}, 0
    for split, size in sizes.items():
        ranges[split] = range(start, start + size)
        start += size
    return ranges
