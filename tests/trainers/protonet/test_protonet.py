"""Prototypical networks against closed forms, an implementation of modules in float64, and the protocol's promises."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.results.fold import fold
from sweeper.results.paths import Results
from tests.sweeper.played import command, run
from tests.trainers.small import noise_pixels
from trainers.maml.episodes import evaluation_draw, gather, training_draw
from trainers.maml.layout import BLOCKS
from trainers.maml.networks import HEAD, Params, initial_params
from trainers.protonet.config import evaluation_episodes, resolve, training_episodes
from trainers.protonet.episode import accuracy, logits, loss_and_accuracy, prototypes
from trainers.protonet.trainer import PROTONET
from trainers.protonet.training import Training
from trainers.state_file import State
from trainers.testing import check_growth, check_resume
from trainers.trainer import ConfigError, Data, Task, Wanted

SMALL = {
    "dataset": "strokes", "channels": 4, "ways": 4, "shots": 2, "queries": 3, "episodes": 2, "outer_steps": 6,
    "eval_every": 3, "eval_ways": 3, "eval_shots": 1, "eval_episodes": 4, "dtype": "float64", "lr_halved_every": 2,
}  # fmt: skip


def test_a_prototype_is_the_mean_of_its_class_and_a_logit_minus_a_squared_distance() -> None:
    support = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, 3.0]])
    centres = prototypes(support, 2)
    assert centres.tolist() == [[1.0, 0.0], [1.0, 2.0]]
    assert logits(torch.tensor([[1.0, 0.0], [4.0, 4.0]]), centres).tolist() == [[0.0, -4.0], [-25.0, -13.0]]


def test_the_classifier_is_linear_in_the_features() -> None:
    """Snell et al. 2017, Eq. 8: softmax over weights 2 c_k and biases -|c_k|^2 gives the same probabilities."""
    generator = torch.Generator().manual_seed(3)
    queries, centres = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((7, 5), (4, 5)))
    linear = queries @ (2 * centres).T - centres.square().sum(1)
    assert torch.allclose(logits(queries, centres).softmax(1), linear.softmax(1), rtol=0, atol=1e-14)


class Conv4(nn.Module):
    """The encoder as people write it, from modules."""

    def __init__(self, config, params: Params) -> None:
        super().__init__()
        self.order = config.net_order
        self.blocks = BLOCKS[config.network]
        channels = config.channels
        for n, block in enumerate(self.blocks, start=1):
            shape = params[f"conv{n}.weight"].shape
            conv = nn.Conv2d(shape[1], channels, block.kernel, block.stride, block.padding).double()
            norm = nn.BatchNorm2d(channels, eps=config.bn_eps, track_running_stats=False).double()
            for module, name in ((conv, "conv"), (norm, "norm")):
                for part in ("weight", "bias"):
                    getattr(module, part).data = params[f"{name}{n}.{part}"].clone()
            self.add_module(f"conv{n}", conv)
            self.add_module(f"norm{n}", norm)

    def forward(self, x: Tensor) -> Tensor:
        for n, block in enumerate(self.blocks, start=1):
            x = getattr(self, f"conv{n}")(x)
            norm = getattr(self, f"norm{n}")
            x = F.relu(norm(x)) if self.order == "bn_relu" else norm(F.relu(x))
            x = F.max_pool2d(x, 2) if block.pool else x
        return x.flatten(1)


@pytest.mark.parametrize("network", ["conv4_strided", "conv4_pooled"])
@pytest.mark.parametrize("order", ["bn_relu", "relu_bn"])
def test_loss_accuracy_and_gradient_are_those_of_modules_and_cdist(network, order) -> None:
    config = resolve(SMALL | {"network": network, "net_order": order})
    drawn = training_episodes(config)
    params = {name: value for name, value in initial_params(drawn).items() if name not in HEAD}
    episode = gather(training_draw(drawn, 0), noise_pixels(), drawn).at(1)
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    loss, right = loss_and_accuracy(drawn, leaves, episode)
    gradient = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    model = Conv4(config, params)
    support, queries = model(episode.support_images), model(episode.query_images)
    centres = torch.stack([support[episode.support_labels == label].mean(0) for label in range(config.ways)])
    distances = torch.cdist(queries, centres, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    expected = F.nll_loss(F.log_softmax(-distances, dim=1), episode.query_labels)
    expected.backward()
    assert abs(float(loss.detach()) - float(expected.detach())) < 1e-11
    assert float(right) == float((distances.argmin(1) == episode.query_labels).double().mean())
    named = dict(model.named_parameters())
    for name, found in gradient.items():
        assert float((found - named[name].grad).abs().max()) < 1e-11, name


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Data:
    path = tmp_path_factory.mktemp("data") / "noise.npy"
    np.save(path, noise_pixels().numpy())
    return Data("strokes", path, "0" * 64)


def trained(values, data) -> list:
    config = PROTONET.resolve(values)
    (chunk,) = PROTONET.train(Task(configs=[config], states=[PROTONET.begun(config)], data=data, chunk_s=60.0))
    return [*chunk.runs[0].records], chunk.states()[0]


def test_a_step_is_adams_and_the_rate_is_halved_on_schedule(data) -> None:
    """Against torch's own Adam, with the same episodes."""
    config = resolve(SMALL)
    drawn, pixels = training_episodes(config), noise_pixels()
    params = {name: value for name, value in initial_params(drawn).items() if name not in HEAD}
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    adam = torch.optim.Adam(leaves.values(), lr=config.lr)
    for step in range(config.outer_steps):
        adam.param_groups[0]["lr"] = config.lr * 0.5 ** (step // 2)
        episodes = gather(training_draw(drawn, step), pixels, drawn)
        losses = [loss_and_accuracy(drawn, leaves, episodes.at(n))[0] for n in range(config.episodes)]
        adam.zero_grad()
        (sum(losses) / len(losses)).backward()
        adam.step()
    records, _ = trained(SMALL, data)
    scored = evaluation_episodes(config)
    expected = [
        accuracy(scored, leaves, gather(evaluation_draw(scored, n, n + 1), pixels, scored).at(0)) for n in range(4)
    ]
    assert [record.step for record in records] == [3, 6]
    assert records[-1].value["accuracy/test"] == pytest.approx(sum(expected) / 4, abs=1e-12)
    assert records[-1].value["episode_sd/test"] == pytest.approx(np.std(expected, ddof=1), abs=1e-12)


@pytest.mark.slow
def test_it_grows_and_resumes_to_the_bit(data) -> None:
    check_growth(PROTONET, SMALL, 3, 6, data=data)
    check_resume(PROTONET, SMALL, data=data, at_most=30)


@pytest.mark.slow
def test_it_is_scored_on_the_episodes_of_maml() -> None:
    """Of equal seed, ways and shots: the two methods are compared on the same images."""
    config = resolve(SMALL | {"seed": 5})
    drawn = evaluation_draw(evaluation_episodes(config), 0, 4)
    from trainers.maml.config import resolve as maml

    other = maml({"dataset": "strokes", "ways": 3, "shots": 1, "queries": 3, "seed": 5, "channels": 64})
    assert all(np.array_equal(one, two) for one, two in zip(drawn, evaluation_draw(other, 0, 4), strict=True))


@pytest.mark.slow
def test_it_learns(data, drawn_before, tmp_path) -> None:
    """On synthetic characters, far above what the untrained encoder reaches."""
    (tmp_path / "proto.yaml").write_text("""\
version: 1
trainer: protonet
name: proto
question: Does it learn?
fixed: {use: strokes, channels: 8, outer_steps: 120, eval_every: 60, eval_episodes: 40, lr: 0.003}
matrix: {shots: [1, 5]}
seeds: 1
endpoint: {metric: accuracy, split: test, at: last, window: 1}
""")
    results = Results.at(tmp_path / "results")
    ended = run(results, tmp_path / "proto.yaml", "--device", "cpu")
    assert ended.exit_code == 0, ended.output
    planned = command("plan", tmp_path / "proto.yaml", "--results", results.root, "--json")
    reached = {}
    for trial in json.loads(planned.stdout)["trials"]:
        record = fold(Path(results.trial(trial["trial_id"]).journal))
        assert record is not None
        reached[trial["labels"]["shots"]] = record["readings"][-1]["values"]["accuracy/test"]
    assert reached["1"] > 0.35 and reached["5"] > reached["1"]  # chance is 0.2


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"ways": 1}, "ways"),
        ({"eval_split": "val"}, "eval_split"),
        ({"queries": 1000}, "shots"),
        ({"lr": 0.0}, "lr"),
        ({"eval_every": 0}, "eval_every"),
        ({"inner_steps": 1}, "inner_steps"),
    ],
)
def test_what_can_not_be_trained_is_refused_with_its_field(values, field) -> None:
    with pytest.raises(ConfigError) as caught:
        PROTONET.resolve({"dataset": "omniglot"} | values)
    assert caught.value.problems[0].field == field


def test_a_number_that_is_never_measured_is_said() -> None:
    config = PROTONET.resolve({"dataset": "strokes", "outer_steps": 250, "eval_every": 100})

    def said(metric, at="last", **coordinates) -> dict[str, str]:
        return dict(PROTONET.unmeasured(config, Wanted(metric, coordinates, at, 1)))

    assert said("accuracy", split="test") == {"at": "no evaluation is made at step 250, because eval_every is 100"}
    assert said("accuracy", (200,), split="test") == {}
    assert said("accuracy", (200,), split="val") == {"split": "val is never measured, because eval_split is test"}
    assert said("loss") == {}


def test_both_splits_have_the_numbers_of_a_trial_of_each_alone() -> None:
    found = {}
    for split in ("both", "val", "test"):
        config = resolve({**SMALL, "eval_split": split, "outer_steps": 3})
        chunks = Training(config, noise_pixels(), State(step=0)).chunks(0.0)
        found[split] = [record for chunk in chunks for record in chunk.runs[0].records][-1].value
    assert found["both"] == found["val"] | found["test"]
    assert set(found["both"]) - set(found["test"]) == {"accuracy/val", "episode_sd/val"}
    wanted = Wanted("accuracy", {"split": "val"}, "last", 1)
    config = resolve({**SMALL, "eval_split": "both"})
    assert list(PROTONET.unmeasured(config, wanted)) == []
