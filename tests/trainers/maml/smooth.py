"""A smooth twin of our networks, so that outer gradients can be compared with finite differences."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.episodes import Episode
from trainers.maml.model import Model


def smooth_features(params: dict[str, Tensor], images: Tensor) -> Tensor:
    """Features of a smooth twin of our networks: strided convolutions, softplus, batch norm kept."""
    x = images
    for n in (1, 2):
        x = F.softplus(F.conv2d(x, params[f"conv{n}.weight"], stride=2))
        x = F.batch_norm(x, None, None, params[f"norm{n}.weight"], params[f"norm{n}.bias"], training=True)
    return x.flatten(1)


SMOOTH = Model(
    lambda params, episode: smooth_features(params, episode.support_images),
    lambda params, episode: smooth_features(params, episode.query_images),
    F.cross_entropy,
)


def smooth_case() -> tuple[dict[str, Tensor], Episode]:
    """Return parameters of a small smooth network, and an episode of 3 ways, 2 shots and 3 queries a class."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    params = {
        "conv1.weight": draw(4, 1, 3, 3, scale=0.5),
        "norm1.weight": 1 + draw(4, scale=0.1),
        "norm1.bias": draw(4, scale=0.1),
        "conv2.weight": draw(4, 4, 3, 3, scale=0.2),
        "norm2.weight": 1 + draw(4, scale=0.1),
        "norm2.bias": draw(4, scale=0.1),
        "head.weight": draw(3, 16, scale=0.3),
        "head.bias": draw(3, scale=0.1),
    }
    labels = torch.arange(3)
    episode = Episode(draw(6, 1, 12, 12), labels.repeat(2), draw(9, 1, 12, 12), labels.repeat(3))
    return params, episode


def flat(params: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in params.values()])


def moved(params: dict[str, Tensor], direction: Tensor, h: float) -> dict[str, Tensor]:
    parts = direction.split([value.numel() for value in params.values()])
    return {name: value + h * part.view_as(value) for (name, value), part in zip(params.items(), parts, strict=True)}


def directions(gradient: Tensor) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randn(8, gradient.numel(), generator=generator, dtype=torch.float64)
    return [gradient / gradient.norm(), *(drawn / drawn.norm(dim=1, keepdim=True))]


def largest_slope_error(gradient: Tensor, loss_at, h: float = 1e-5) -> float:
    """Relative error of directional derivatives against central differences; 1e-3 of the norm is the floor."""
    errors = []
    for direction in directions(gradient):
        slope = (loss_at(direction, h) - loss_at(direction, -h)) / (2 * h)
        exact = gradient @ direction
        errors.append(float((slope - exact).abs() / torch.maximum(exact.abs(), 1e-3 * gradient.norm())))
    return max(errors)
