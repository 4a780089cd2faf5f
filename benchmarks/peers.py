"""The same outer step by other means: modules cloned for each episode, as learn2learn does it; higher; TorchOpt.

Each takes a config, parameters by our names and a stack of episodes, and returns a function of nothing that returns the
mean gradient by our names. Only what is installed is in `PEERS`.
"""

import importlib.util
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.maml.config import TrialConfig
from trainers.maml.episodes import Episode
from trainers.maml.layout import BLOCKS
from trainers.maml.networks import Params

Peer = Callable[[TrialConfig, Params, Episode], Callable[[], Params]]


class Conv4(nn.Module):
    """The released network of the paper as modules: convolution, ReLU, batch norm of the batch at hand, pooling."""

    def __init__(self, config: TrialConfig, params: Params) -> None:
        super().__init__()
        self.blocks = BLOCKS[config.network]
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for n, block in enumerate(self.blocks, start=1):
            out, into, kernel, _ = params[f"conv{n}.weight"].shape
            self.convolutions.append(nn.Conv2d(into, out, kernel, block.stride, block.padding))
            self.norms.append(nn.BatchNorm2d(out, eps=config.bn_eps, track_running_stats=False))
        ways, features = params["head.weight"].shape
        self.head = nn.Linear(features, ways)
        self.to(params["head.weight"])
        with torch.no_grad():
            for ours, own in zip(params, self.named(), strict=True):
                own.copy_(params[ours])

    def named(self) -> list[Tensor]:
        """Return the parameters in the order of ours."""
        blocks = zip(self.convolutions, self.norms, strict=True)
        return [
            *(value for conv, norm in blocks for value in (conv.weight, conv.bias, norm.weight, norm.bias)),
            self.head.weight,
            self.head.bias,
        ]

    def forward(self, x: Tensor) -> Tensor:
        for block, convolution, norm in zip(self.blocks, self.convolutions, self.norms, strict=True):
            x = norm(F.relu(convolution(x)))
            x = F.max_pool2d(x, 2) if block.pool else x
        return self.head(x.flatten(1))


def _outer(config: TrialConfig, params: Params, episodes: Episode, loss_of: Callable) -> Callable[[], Params]:
    """Return the step that sums the gradients of `loss_of(model, episode)` in the parameters of one model."""
    model = Conv4(config, params)

    def step() -> Params:
        model.zero_grad()
        count = len(episodes.support_labels)
        for e in range(count):
            (loss_of(model, episodes.at(e)) / count).backward()
        return {name: value.grad.clone() for name, value in zip(params, model.named(), strict=True)}

    return step


def plain_modules(config: TrialConfig, params: Params, episodes: Episode) -> Callable[[], Params]:
    """Clone the modules for each episode and put differentiable tensors where their parameters were."""

    def loss_of(model: Conv4, episode: Episode) -> Tensor:
        learner = _cloned(model)
        for _ in range(config.inner_steps):
            loss = F.cross_entropy(learner(episode.support_images), episode.support_labels)
            second = config.order == "second"
            slopes = torch.autograd.grad(loss, learner.named(), create_graph=second, retain_graph=second)
            moved = [value - config.inner_lr * slope for value, slope in zip(learner.named(), slopes, strict=True)]
            _replace(learner, iter(moved))
        return F.cross_entropy(learner(episode.query_images), episode.query_labels)

    return _outer(config, params, episodes, loss_of)


def _cloned(module: nn.Module) -> nn.Module:
    clone = module.__new__(type(module))
    clone.__dict__ = module.__dict__.copy()
    clone._parameters = {name: value.clone() for name, value in module._parameters.items()}
    clone._modules = {name: _cloned(child) for name, child in module._modules.items()}
    return clone


def _replace(learner: Conv4, updates: Iterator[Tensor]) -> None:
    for convolution, norm in zip(learner.convolutions, learner.norms, strict=True):
        for module in (convolution, norm):
            module._parameters = {"weight": next(updates), "bias": next(updates)}
    learner.head._parameters = {"weight": next(updates), "bias": next(updates)}


def by_higher(config: TrialConfig, params: Params, episodes: Episode) -> Callable[[], Params]:
    """Use higher's monkey-patched modules and differentiable SGD."""
    import higher

    def loss_of(model: Conv4, episode: Episode) -> Tensor:
        optimizer = torch.optim.SGD(model.parameters(), lr=config.inner_lr)
        with higher.innerloop_ctx(model, optimizer, copy_initial_weights=False) as (learner, inner):
            for _ in range(config.inner_steps):
                inner.step(F.cross_entropy(learner(episode.support_images), episode.support_labels))
            return F.cross_entropy(learner(episode.query_images), episode.query_labels)

    return _outer(config, params, episodes, loss_of)


def by_torchopt(config: TrialConfig, params: Params, episodes: Episode) -> Callable[[], Params]:
    """Use TorchOpt's MetaSGD, which moves the modules themselves and is put back after each episode."""
    import torchopt

    def loss_of(model: Conv4, episode: Episode) -> Tensor:
        inner = torchopt.MetaSGD(model, lr=config.inner_lr)
        before = torchopt.extract_state_dict(model, by="reference", detach_buffers=True)
        for _ in range(config.inner_steps):
            inner.step(F.cross_entropy(model(episode.support_images), episode.support_labels))
        loss = F.cross_entropy(model(episode.query_images), episode.query_labels)
        torchopt.recover_state_dict(model, before)
        return loss

    return _outer(config, params, episodes, loss_of)


SECOND_ONLY = ("higher", "TorchOpt")
"""Without the graph of the inner loop their gradients don't reach the parameters that it began with."""

_OPTIONAL: dict[str, tuple[str, Peer]] = {"higher": ("higher", by_higher), "TorchOpt": ("torchopt", by_torchopt)}

PEERS: dict[str, Peer] = {
    "plain modules": plain_modules,
    **{row: peer for row, (package, peer) in _OPTIONAL.items() if importlib.util.find_spec(package)},
}
