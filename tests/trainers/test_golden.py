"""Golden losses: three outer steps in float64 on the synthetic characters, for each entry of the recipe.

A failure here means that numbers a user may have on disk have moved. If that was meant, raise the entry in
`trainers.recipe.RECIPES` and put the new values here; never the one without the other.
"""

import pytest
import torch

from trainers import strokes
from trainers.config import resolve
from trainers.recipe import RECIPES, recipe_of
from trainers.train import train

GOLDEN: dict[str, tuple[dict[str, object], tuple[float, ...]]] = {
    "core": ({}, (1.5888620426229814, 1.6225631239897926, 1.5849106774975006)),
    "second_order": ({"order": "second"}, (1.5888620426229814, 1.612628539839445, 1.5692673739818526)),
    "anil": ({"algorithm": "anil"}, (1.5886299335272467, 1.6176668136959862, 1.5862269098108466)),
    "episode_pool": ({"episode_pool": 3}, (1.572111399263307, 1.5960694167709286, 1.5173251723558105)),
}


@pytest.fixture(scope="module")
def pixels():
    return torch.from_numpy(strokes.make(0))


def losses(values, pixels) -> list[float]:
    config = resolve(
        {
            "dataset": "strokes", "channels": 8, "order": "first", "shots": 2, "queries": 5, "inner_steps": 2,
            "inner_lr": 0.1, "zero_head_every": 2, "meta_batch_size": 2, "outer_lr": 0.01, "outer_steps": 3,
            "eval_episodes": 1, "eval_steps": 0, "dtype": "float64",
        } | values
    )  # fmt: skip
    records = [record for chunk in train([config], pixels) for record in chunk.runs[0].records]
    return [record.value["query_loss"] for record in records if record.key == "training"]


@pytest.mark.parametrize("entry", GOLDEN)
def test_numbers_have_not_moved_under_their_recipe(entry, pixels, monkeypatch):
    monkeypatch.setattr("trainers.train.RECORD_EVERY", 1)
    values, expected = GOLDEN[entry]
    assert losses(values, pixels) == pytest.approx(expected, rel=1e-8)


def test_every_entry_of_the_recipe_has_a_guard():
    data_sets = {"omniglot", "strokes", "mini_imagenet"}  # guarded by the digests of their arrays
    assert set(GOLDEN) | data_sets == set(RECIPES)
    used = [set(recipe_of(resolve({"dataset": "strokes", "order": "first"} | values))) for values, _ in GOLDEN.values()]
    assert all(entry in found for entry, found in zip(GOLDEN, used, strict=True))
