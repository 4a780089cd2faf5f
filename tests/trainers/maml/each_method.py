"""The methods of the MAML trainer beyond the paper's, for tests of all of them, and how far each is from a reference.

`python -m tests.trainers.maml.each_method` prints the table of docs/methods.md.
"""

from typing import Any

import torch
from torch import Tensor

from tests.trainers.maml.by_hand import gradient
from tests.trainers.maml.smooth import SMOOTH, largest_slope_error, moved, smooth_case
from tests.trainers.small import noise_pixels, tiny_config
from trainers.maml.adapt import adapted_names, graph_gradient
from trainers.maml.config import TrialConfig
from trainers.maml.engines.engines import build
from trainers.maml.engines.outcomes import outcome_of
from trainers.maml.engines.table import EngineName
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.methods.multi_step import weights_at
from trainers.maml.networks import Params
from trainers.maml.rates import initial_rates, is_rate
from trainers.maml.train import begun

UNROLLED: dict[str, dict[str, Any]] = {
    "meta-sgd": {"inner_rates": "per_parameter"},
    "meta-sgd first": {"inner_rates": "per_parameter", "order": "first"},
    "meta-sgd anil": {"inner_rates": "per_parameter", "algorithm": "anil"},
    "boil": {"algorithm": "boil"},
    "boil first": {"algorithm": "boil", "order": "first"},
    "boil rates": {"algorithm": "boil", "inner_rates": "per_layer_per_step"},
    "per-layer per-step": {"inner_rates": "per_layer_per_step"},
    "multi-step": {"query_losses": "every_step", "annealed_steps": 10},
    "multi-step anil": {"query_losses": "every_step", "algorithm": "anil"},
    "maml++": {"query_losses": "every_step", "annealed_steps": 10, "inner_rates": "per_layer_per_step"},
    "maml++ first": {"query_losses": "every_step", "inner_rates": "per_layer_per_step", "order": "first"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "reptile": {"algorithm": "reptile", "order": "first", "inner_steps": 4},
    "reptile large": {"algorithm": "reptile", "order": "first", "reptile_shots": 4},
    "imaml": {"algorithm": "imaml", "proximal": 2.0, "inner_steps": 4, "bn_eps": 0.1},
    "imaml strong": {"algorithm": "imaml", "proximal": 20.0, "cg_steps": 3},
}
"""Of iMAML those whose system is well conditioned: otherwise few conjugate gradient steps amplify rounding."""
METHODS = UNROLLED | OTHERS
SECOND_ORDER = [name for name, values in UNROLLED.items() if values.get("order") != "first"]
"""Those whose outer gradient is the gradient of a loss that can be computed."""


def away_from_the_start(config: TrialConfig) -> Params:
    """Return the first parameters, with learned rates that differ from each other."""
    params = begun(config).params
    generator = torch.Generator().manual_seed(5)
    return {
        name: value * (0.5 + torch.rand(value.shape, generator=generator, dtype=value.dtype))
        if is_rate(name)
        else value
        for name, value in params.items()
    }


def weights_of(config: TrialConfig, step: int = 4) -> torch.Tensor | None:
    """Return the weights of the query losses after `step` outer steps, None for the last loss alone."""
    if config.query_losses == "last_step":
        return None
    return torch.tensor(weights_at(step, config.inner_steps, config.annealed_steps), dtype=torch.float64)


def outer_gradient(config: TrialConfig, pixels: Tensor, engine: EngineName = "loop") -> tuple[Params, Params, Episode]:
    """Return an engine's outer gradient away from the start (one run), the parameters and the episodes."""
    params = away_from_the_start(config)
    episodes = gather(training_draw(config, 0), pixels, config)
    stacked = {name: value[None] for name, value in params.items()}
    rate = torch.tensor([config.inner_lr], dtype=torch.float64)
    found = build(engine, config).meta_gradient(stacked, [episodes], rate, [True], weights_of(config))
    return {name: value[0] for name, value in found.gradient.items()}, params, episodes


def largest_error(found: Params, expected: Params) -> float:
    """Return the largest error of a tensor, relative to its norm."""
    assert found.keys() == expected.keys()
    return max(float((found[name] - value).norm() / value.norm()) for name, value in expected.items() if value.any())


def error_of_second_implementation(config: TrialConfig, pixels: Tensor) -> float:
    """Return how far the loop engine is from `by_hand`."""
    found, params, episodes = outer_gradient(config, pixels)
    weights = weights_of(config)
    listed = None if weights is None else weights.tolist()
    each = [gradient(config, params, episodes.at(e), listed) for e in range(config.meta_batch_size)]
    return largest_error(found, {name: torch.stack([one[name] for one in each]).mean(dim=0) for name in params})


def error_of_differences(config: TrialConfig) -> float:
    """Return how far the outer gradient on a smooth network is from finite differences of the outer loss."""
    params, episode = smooth_case()
    params |= initial_rates(config, {name: params[name] for name in adapted_names(config.algorithm, params)})
    weights = weights_of(config)
    outcome = outcome_of(config, SMOOTH, graph_gradient)

    def objective(at: Params) -> tuple[Tensor, list[Tensor]]:
        leaves = {name: value.detach().requires_grad_() for name, value in at.items()}
        return outcome(leaves, episode, config.inner_lr, weights).objective, list(leaves.values())

    loss, leaves = objective(params)
    exact = torch.cat([part.flatten() for part in torch.autograd.grad(loss, leaves)])
    return largest_slope_error(exact, lambda direction, h: objective(moved(params, direction, h))[0].detach())


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    pixels = noise_pixels()
    print("| fields | second implementation | `vmap` | `fused` | `compiled` | finite differences |")
    print("|---|---|---|---|---|---|")
    for name, values in METHODS.items():
        config = tiny_config(**values)
        expected, *_ = outer_gradient(config, pixels)
        engines: tuple[EngineName, ...] = ("vmap", "fused", "compiled")
        errors = [error_of_second_implementation(config, pixels)]
        errors += [largest_error(outer_gradient(config, pixels, engine)[0], expected) for engine in engines]
        smooth = (
            f"{error_of_differences(tiny_config(**values | {'inner_steps': 3})):.0e}" if name in SECOND_ORDER else ""
        )
        fields = ", ".join(f"{field} {value}" for field, value in values.items())
        print(f"| {fields} | {' | '.join(f'{error:.0e}' for error in errors)} | {smooth} |")


if __name__ == "__main__":
    main()
