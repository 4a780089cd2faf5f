"""How far the gradient of an outer step is from float64's when products have fewer digits.

    python -m benchmarks.precision [--device cpu|cuda] [--seeds N]

The whole gradient's distance relative to its norm, from the same numbers, over `seeds` first steps of each protocol
(median and largest), by the vmap engine; TF32 needs a GPU. Also whether the step it points to is the same: the cosine
of the two gradients.
"""

import argparse
import json
import statistics

import torch
from torch import Tensor

from trainers.data.datasets import data_root, prepare
from trainers.data.on_device import load_pixels
from trainers.maml import protocols
from trainers.maml.config import Arithmetic, TrialConfig, resolve
from trainers.maml.engines.arithmetic import multiplying
from trainers.maml.engines.engines import build
from trainers.maml.episodes import gather, training_draw
from trainers.maml.networks import initial_params


def gradient(config: TrialConfig, pixels: Tensor, dtype: str, arithmetic: Arithmetic) -> Tensor:
    """Return the gradient of the first outer step as one vector in float64."""
    own = config.model_copy(update={"dtype": dtype})
    params = {name: value[None].to(pixels.device) for name, value in initial_params(config).items()}
    params = {name: value.to(getattr(torch, dtype)) for name, value in params.items()}
    lr = params["head.weight"].new_tensor([config.inner_lr])
    with multiplying(arithmetic, pixels.device):
        episodes = [gather(training_draw(config, 0), pixels, own)]
        found = build("vmap", own).meta_gradient(params, episodes, lr, [True]).gradient
    return torch.cat([value.double().flatten() for value in found.values()])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The error of a gradient by the digits of its products.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kinds: list[Arithmetic] = ["full", "tf32", "bf16"] if arguments.device == "cuda" else ["full", "bf16"]
    print("| protocol | order | network | products | error, median (largest) | cosine, median (least) |")
    print("|---|---|---|---|---:|---:|")
    rows = []
    for protocol in ("omniglot", "mini_imagenet"):
        pixels = load_pixels(prepare(protocols.load(protocol)["dataset"], data_root(None)), arguments.device)
        for order, net_order in (("first", "relu_bn"), ("second", "relu_bn"), ("first", "bn_relu")):
            errors: dict[str, list[float]] = {kind: [] for kind in kinds}
            cosines: dict[str, list[float]] = {kind: [] for kind in kinds}
            for seed in range(arguments.seeds):
                values = protocols.load(protocol) | {"order": order, "net_order": net_order, "meta_batch_size": 2}
                config = resolve(values | {"seed": seed})
                exact = gradient(config, pixels, "float64", "full")
                for kind in kinds:
                    found = gradient(config, pixels, "float32", kind)
                    errors[kind].append(float((found - exact).norm() / exact.norm()))
                    cosines[kind].append(float(found @ exact / found.norm() / exact.norm()))
            for kind in kinds:
                row = {
                    "protocol": protocol, "order": order, "network": net_order, "products": kind,
                    "error": statistics.median(errors[kind]), "largest": max(errors[kind]),
                    "cosine": statistics.median(cosines[kind]), "least": min(cosines[kind]),
                }  # fmt: skip
                rows.append(row)
                print(
                    f"| {protocol} | {order} | {net_order} | {kind} | {row['error']:.1e} ({row['largest']:.1e}) | "
                    f"{row['cosine']:.3f} ({row['least']:.3f}) |",
                    flush=True,
                )
    print(json.dumps({"device": arguments.device, "torch": torch.__version__, "seeds": arguments.seeds, "found": rows}))


if __name__ == "__main__":
    main()
