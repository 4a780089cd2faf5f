"""Fewer digits where a config says so, and nowhere else."""

import pytest
import torch

from tests.trainers.trained import whole
from trainers.maml.engines.arithmetic import multiplying
from trainers.maml.engines.engines import build
from trainers.maml.engines.outer_step import Mover
from trainers.maml.engines.table import cannot_treat
from trainers.maml.networks import initial_params
from trainers.maml.train import train
from trainers.trainer import ConfigError

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here, which TF32 is for")
SMALL = {
    "net_order": "bn_relu",
    "channels": 16,
    "inner_lr": 0.01,
    "shots": 5,
    "queries": 15,
    "outer_steps": 1,
    "dtype": "float32",
}


def error(tiny, pixels, engine, **changes) -> float:
    """Return how far the gradient is from float64's, relative to it, when an outer step takes it."""
    found = {}
    for name, config in (
        ("exact", tiny(**SMALL | changes | {"dtype": "float64", "arithmetic": "full"})),
        ("own", tiny(**SMALL | changes)),
    ):
        seen = {}
        inner = build("loop" if name == "exact" else engine, config)

        class Watched:
            def meta_gradient(self, *given, inner=inner, seen=seen):
                seen["it"] = inner.meta_gradient(*given)
                return seen["it"]

        params = {key: value[None].to(pixels.device) for key, value in initial_params(config).items()}
        Mover([config], pixels, Watched(), params).take(0, [True])
        found[name] = torch.cat([part.double().flatten() for part in seen["it"].gradient.values()])
    return float((found["own"] - found["exact"]).norm() / found["exact"].norm())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["loop", "vmap", "graph"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_bf16_is_coarser_than_float32_and_no_coarser_than_its_bits(tiny, noise, engine, order):
    full = error(tiny, noise, engine, order=order)
    coarse = error(tiny, noise, engine, order=order, arithmetic="bf16")
    assert full < 1e-4
    assert 1e-3 < coarse < 0.3


def test_parameters_and_records_stay_float32(tiny, noise):
    _, last = whole(tiny(**SMALL | {"arithmetic": "bf16", "order": "first"}), noise, engine="vmap")
    assert {value.dtype for value in (*last.params.values(), *last.moments.second.values())} == {torch.float32}


def test_what_a_device_or_an_engine_can_not_do_is_refused(tiny, noise):
    able = (("tf32", "cuda", "vmap"), ("bf16", "cuda", "graph"), ("full", "cpu", "fused"), ("full", "cpu", "compiled"))
    for arithmetic, device, engine in able:
        assert cannot_treat(engine, tiny(**SMALL | {"arithmetic": arithmetic, "dtype": "float32"}), device) == ""
    for arithmetic in ("tf32", "bf16"):
        with pytest.raises(ValueError, match=f"arithmetic {arithmetic} needs --device cuda"):
            next(train([tiny(**SMALL | {"arithmetic": arithmetic})], noise))
    with pytest.raises(ConfigError, match="bf16, but dtype is float64"):
        tiny(arithmetic="bf16")


def test_no_setting_is_left_behind(tiny, noise):
    whole(tiny(**SMALL | {"arithmetic": "bf16", "order": "first"}), noise, engine="loop")
    assert not torch.is_autocast_enabled("cpu")
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    for arithmetic, allowed in (("tf32", True), ("full", False)):
        with multiplying(arithmetic, noise.device):
            assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is allowed
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


@pytest.mark.gpu
@NEEDS_GPU
def test_tf32_rounds_on_a_gpu_only_where_it_is_asked_for(tiny, noise):
    pixels = noise.cuda()
    full = error(tiny, pixels, "vmap", order="first")
    coarse = error(tiny, pixels, "vmap", order="first", arithmetic="tf32")
    again = error(tiny, pixels, "vmap", order="first")
    assert full == pytest.approx(again, rel=0.5)
    assert full < 1e-4 < coarse < 0.1
