"""A network of one's own: the same numbers as the one that ships, its own streams, resume and growth to the bit."""

import os

import pytest
import torch
from torch import nn

from tests.forks import fork
from tests.places import ROOT
from tests.trainers.own_networks import SOURCE, own_config, write
from tests.trainers.trained import probed, same_bits, whole
from tests.waiting import HANG_S
from trainers.maml.checkpoints import checkpoint
from trainers.maml.engines.engines import build
from trainers.maml.engines.table import cannot_treat, fastest
from trainers.maml.episodes import evaluation_draw, gather, training_draw
from trainers.maml.networks import HEAD, encode, initial_params, native_norm, own
from trainers.maml.theory.engines import difference
from trainers.maml.train import train


@pytest.fixture
def net(tmp_path):
    return write(tmp_path)


def names_of(params) -> dict[str, str]:
    """Return the names of Conv-4's parameters that ship, by those of the same network from modules."""
    of_layer = {str(3 * n): f"conv{n + 1}" for n in range(4)} | {str(3 * n + 2): f"norm{n + 1}" for n in range(4)}
    found = {}
    for name in params:
        layer, _, part = name.partition(".")
        found[name] = name if name in HEAD else f"{of_layer[layer]}.{part}"
    return found


@pytest.mark.parametrize("algorithm", ["maml", "anil"])
@pytest.mark.parametrize("batch_norm", ["transductive", "inductive"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_conv4_from_modules_has_the_gradient_and_the_scores_of_the_one_that_ships(
    tiny, noise, net, order, batch_norm, algorithm
):
    values = {"order": order, "batch_norm": batch_norm, "algorithm": algorithm}
    config, shipped = own_config(net, "conv4", **values), tiny(**values)
    start = initial_params(shipped)
    stacked = {name: value[None] for name, value in start.items()}
    names = names_of(initial_params(config))
    renamed = {name: stacked[there] for name, there in names.items()}
    rates = torch.tensor([config.inner_lr], dtype=torch.float64)
    episodes = [gather(training_draw(config, 0), noise, config)]
    engine, other = build("loop", config), build("loop", shipped)
    found = engine.meta_gradient(renamed, episodes, rates, [True])
    expected = other.meta_gradient(stacked, episodes, rates, [True])
    assert set(names.values()) == set(start)
    by_shipped = {there: found.gradient[name] for name, there in names.items()}
    assert difference(shipped, by_shipped, expected.gradient) < 1e-12
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-12, atol=0)
    scored = [gather(evaluation_draw(config, 0, 3), noise, config)]
    counts = [
        one.correct(params, scored, rates, [True], range(3)) for one, params in ((engine, renamed), (other, stacked))
    ]
    assert torch.equal(*counts)


def test_the_inductive_gradient_is_another_one(noise, net):
    """So the comparison above would see a batch norm that takes its own statistics."""
    gradients = []
    for batch_norm in ("transductive", "inductive"):
        config = own_config(net, "conv4", batch_norm=batch_norm)
        params = {name: value[None] for name, value in initial_params(config).items()}
        rates = torch.tensor([config.inner_lr], dtype=torch.float64)
        episodes = [gather(training_draw(config, 0), noise, config)]
        gradients.append(build("loop", config).meta_gradient(params, episodes, rates, [True]).gradient)
    assert difference(config, *gradients) > 1e-3


def test_a_layer_of_any_kind_gives_what_its_module_gives(noise, net):
    config = own_config(net)
    params = {name: value for name, value in initial_params(config).items() if name not in HEAD}
    module = own.made(config, config.seed).double()
    assert [name for name, _ in module.named_parameters()] == list(params)
    images = noise[:7, 0].double() / 255
    found = encode(config, params, images, lambda x, scale, shift: native_norm(x, scale, shift, eps=1e-5))
    assert found.shape == (7, 6)
    scope: dict = {}
    exec(SOURCE, scope)
    plain = scope["Small"]((1, 28, 28))
    plain(torch.zeros(2, 1, 28, 28))
    plain = plain.double()
    for layer in plain.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean = layer.running_var = None
    plain.load_state_dict(params, strict=False)
    torch.testing.assert_close(found, plain(images), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_a_start_depends_on_the_seed_alone(net):
    config = own_config(net)
    torch.manual_seed(5)
    first = initial_params(config)
    state = torch.get_rng_state()
    torch.manual_seed(99)
    second = initial_params(config)
    other = initial_params(config.model_copy(update={"seed": 1}))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv.weight"], other["conv.weight"])
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())  # making it has drawn nothing from the global stream
    program = (
        "import sys, torch\nfrom tests.trainers.own_networks import own_config\nfrom pathlib import Path\n"
        "from trainers.maml.networks import initial_params\ntorch.manual_seed(1)\ntorch.rand(3)\n"
        "params = initial_params(own_config(Path(sys.argv[1])))\n"
        "print(*(float(value.double().sum()).hex() for value in params.values()))"
    )
    out, err = fork(program, [str(net)], cwd=ROOT, env=os.environ).communicate(timeout=HANG_S)
    assert err == ""
    assert out.split() == [float(value.double().sum()).hex() for value in first.values()]


@pytest.mark.slow
@pytest.mark.parametrize("function", ["Small", "plain", "resnet12"])
def test_stopping_at_any_chunk_and_growing_change_no_bit(tiny, noise, net, tmp_path, function):
    values = {"outer_steps": 3, "eval_every": 2, "eval_episodes": 2, "probe_every": 2, "probe_episodes": 1}
    ship = {"network": "resnet12", "channels": 2, "dtype": "float32", "order": "first", "probe_orders": "own"}
    ship |= {"ways": 2, "shots": 1, "queries": 1, "meta_batch_size": 1, "inner_steps": 1}
    config = tiny(**values | ship) if function == "resnet12" else own_config(net, function, **values)
    records, last = whole(config, noise)
    assert {record.key for record in records} >= {"training", "evaluation", "probe"}
    path = tmp_path / "x.ckpt"
    for number, chunk in enumerate(train([config], noise, chunk_s=0)):
        if number % 3:
            continue
        checkpoint.save(path, chunk.states()[0])
        resumed, end = whole(config, noise, states=[checkpoint.read(path)])
        assert resumed == records
        assert same_bits(end, last)
    longer = config.model_copy(update={"outer_steps": 4})
    _, grown = whole(longer, noise, states=[last])
    _, at_once = whole(longer, noise)
    assert all(torch.equal(grown.params[name], at_once.params[name]) for name in grown.params)


def test_runs_of_a_pack_train_as_they_do_alone(noise, net):
    configs = [own_config(net, seed=seed, inner_lr=rate, outer_steps=2) for seed, rate in ((0, 0.1), (3, 0.2))]
    *_, together = train(configs, noise, chunk_s=60)
    for config, state in zip(configs, together.states(), strict=True):
        assert same_bits(state, whole(config, noise)[1])


def test_a_probe_knows_the_layers_and_the_batch_norms(noise, net):
    found, *_ = probed(own_config(net, probe_episodes=2), noise)
    assert set(found["layer_change"]) == {"conv", "norm", "linear", "last", "shared", "head"}
    assert len(found["smallest_variance"]) == 2 and all(value > 0 for value in found["smallest_variance"])
    without, *_ = probed(own_config(net, "plain", probe_episodes=2), noise)
    assert without["smallest_variance"] == [None, None] and without["flat_channels"] == []


def test_the_loop_alone_computes_it(tiny, net):
    config = own_config(net)
    assert fastest(config, "cpu") == fastest(config, "cuda") == "loop"
    for engine in ("compiled", "fused"):
        assert "only Conv-4; the loop engine has" in cannot_treat(engine, config, "cpu")
        assert "only Conv-4" in cannot_treat(engine, tiny(network="mlp"), "cpu")
    for engine in ("vmap", "graph", "unfold"):
        assert "the loop engine computes any network" in cannot_treat(engine, config, "cuda")
        assert cannot_treat(engine, tiny(network="resnet12"), "cuda") == ""
    assert (fastest(tiny(network="resnet12"), "cpu"), fastest(tiny(network="resnet12"), "cuda")) == ("loop", "vmap")
    with pytest.raises(ValueError, match="vmap engine may have wrong second derivatives"):
        next(train([config], torch.zeros(1), engine="vmap"))


def test_a_changed_file_is_imported_again_when_a_training_begins(noise, net):
    config = own_config(net, "plain")
    before = initial_params(config)["head.weight"].shape
    net.write_text(SOURCE.replace(", 5)", ", 7)"))
    assert initial_params(config)["head.weight"].shape == before  # one process computes with one code
    own.renew(config.network)
    assert initial_params(config)["head.weight"].shape == (3, 7)
