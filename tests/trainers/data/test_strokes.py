"""The synthetic characters: always the same bits, handwriting-like in ink and paper, and neither trivial nor noise."""

import hashlib

import numpy as np
import pytest

from trainers.data import strokes
from trainers.data.catalog import CATALOG
from trainers.data.datasets import STROKES_SEED


@pytest.fixture
def drawn(characters) -> np.ndarray:
    return characters


@pytest.mark.slow
def test_the_set_has_the_digest_of_the_catalogue(drawn):
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == CATALOG["strokes"].digest


def test_its_shape_and_type_are_the_catalogues(drawn):
    facts = CATALOG["strokes"]
    assert drawn.shape == (facts.classes, facts.images_per_class, *facts.image_shape)
    assert drawn.dtype == np.uint8


def test_uniform_numbers_are_the_top_53_bits_of_the_philox_words():
    words = np.random.Philox(key=3).random_raw(4)
    exact = [(int(word) >> 11) / 2**53 * 3 - 1 for word in words]
    assert strokes.Uniforms(3).draw(-1.0, 2.0, 2, 2).ravel().tolist() == pytest.approx(exact, abs=1e-15)


@pytest.mark.slow
def test_another_seed_gives_other_characters(drawn):
    assert (strokes.make(STROKES_SEED + 1)[:, 0] != drawn[:, 0]).any(axis=(1, 2, 3)).all()


def test_paper_is_white_ink_is_black_and_edges_are_grey(drawn):
    assert 0.75 < (drawn == 255).mean() < 0.95
    assert (drawn.min(axis=(2, 3, 4)) < 64).all(), "every drawing has ink"
    assert 0.01 < ((drawn > 32) & (drawn < 224)).mean() < 0.2


def test_no_two_drawings_are_equal(drawn):
    assert len({drawing.tobytes() for drawing in drawn.reshape(-1, 28 * 28)}) == 500 * 20


def test_the_nearest_picture_is_better_than_chance_and_far_from_enough(drawn):
    """5-way 1-shot by Euclidean distance between pixels: chance is 0.2, and a trained network is well above this."""
    rng = np.random.default_rng(0)
    ink = 1.0 - drawn[:, :, 0].reshape(500, 20, -1) / 255
    hits = []
    for _ in range(200):
        episode = ink[rng.choice(500, 5, replace=False)]
        distance = ((episode[:, 1:, None] - episode[:, 0]) ** 2).sum(axis=-1)  # (ways, queries, ways)
        hits.append((distance.argmin(axis=-1) == np.arange(5)[:, None]).mean())
    assert 0.3 < np.mean(hits) < 0.6
