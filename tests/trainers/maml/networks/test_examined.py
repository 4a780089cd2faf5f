"""Each fault of a network of one's own is one sentence, found by calling it before anything is trained."""

import pytest

from tests.trainers.own_networks import own_config, write
from trainers.maml.networks.examined import fault, parameter_count
from trainers.maml.trainer import MamlTrainer

HEAD = """\
import random
import numpy as np
import torch
from torch import nn

COUNT = 0


class Linear(nn.Module):
    def __init__(self, image_shape):
        super().__init__()
        self.linear = nn.Linear(image_shape[1] * image_shape[2] * image_shape[0], 5)

    def forward(self, images):
        return self.after(self.linear(images.flatten(1)))

    def after(self, x):
        return x


"""
FLAT = "nn.Flatten(), nn.Linear(784, 5)"

FAULTS = {
    "raises": (
        "def net(image_shape):\n    return nn.Linear(image_shape['x'], 2)\n",
        "net((1, 28, 28)) raised TypeError",
    ),
    "no module": ("def net(image_shape):\n    return 3\n", "must return a torch.nn.Module, got 3"),
    "nothing": ("def net(image_shape):\n    pass\n", "must return a torch.nn.Module, got None"),
    "no such parameter": ("def net():\n    return nn.Flatten()\n", "net((1, 28, 28)) raised TypeError"),
    "a module": ("net = nn.Linear(2, 3)\n", "is a module already; name a function or a class"),
    "no function": ("net = 3\n", "must be a function that returns a torch.nn.Module, got 3"),
    "absent": ("def nets(image_shape):\n    pass\n", "net.py has no 'net'; its functions and classes: Linear, nets"),
    "a map": (
        "def net(image_shape):\n    return nn.Conv2d(1, 4, 3)\n",
        "must give features of shape (images, features) for 4 images of 1 x 28 x 28, got the shape "
        "(4, 4, 26, 26); end it",
    ),
    "a tuple": (
        "class net(Linear):\n    def after(self, x):\n        return x, x\n",
        "must give features of shape (images, features) for 4 images of 1 x 28 x 28, got (tensor(",
    ),
    "wrong size": (
        "def net(image_shape):\n    return nn.Sequential(nn.Flatten(), nn.Linear(100, 5))\n",
        "mat1 and mat2 shapes cannot be multiplied (4x784 and 100x5)",
    ),
    "too deep": (
        "def net(image_shape):\n    return nn.Sequential(*[nn.MaxPool2d(2) for _ in range(5)], nn.Linear(1, 1))\n",
        "it fails on 4 images of 1 x 28 x 28: RuntimeError",
    ),
    "own line": (
        "class net(Linear):\n    def after(self, x):\n        return x @ x\n",
        "mat1 and mat2 shapes cannot be multiplied (4x5 and 4x5) (net.py, line 23)",
    ),
    "not finite": (
        "class net(Linear):\n    def after(self, x):\n        return x / 0\n",
        "gives features that are not finite for 4 images",
    ),
    "gradient not finite": (
        "class net(Linear):\n    def after(self, x):\n        return (x - x).abs().sqrt() + x\n",
        "the gradient of its parameter linear.weight is not finite",
    ),
    "another dtype": (
        "class net(Linear):\n    def after(self, x):\n        return x.float()\n",
        "dtype torch.float64, got torch.float32",
    ),
    "dropout": (
        f"def net(image_shape):\n    return nn.Sequential({FLAT}, nn.Dropout(0.1))\n",
        "its layer 2 is Dropout, which draws random numbers at each call",
    ),
    "functional dropout": (
        "class net(Linear):\n    def after(self, x):\n        return nn.functional.dropout(x, 0.5, True)\n",
        "gives other features for the same images at a second call",
    ),
    "a counter": (
        "class net(Linear):\n    def after(self, x):\n        global COUNT\n        COUNT += 1\n"
        "        return x + COUNT\n",
        "gives other features for the same images at a second call",
    ),
    "running statistics": (
        "class net(Linear):\n    def __init__(self, image_shape):\n        super().__init__(image_shape)\n"
        "        self.seen = nn.InstanceNorm1d(5, track_running_stats=True)\n"
        "    def after(self, x):\n"
        "        return self.seen(x[:, :, None].expand(-1, -1, 3) * torch.arange(3.0))[:, :, 2]\n",
        "its buffer seen.running_mean changes with each call",
    ),
    "a random buffer": (
        "class net(Linear):\n    def __init__(self, image_shape):\n        super().__init__(image_shape)\n"
        "        self.mask = torch.rand(5)\n    def after(self, x):\n        return x * self.mask\n",
        "holds more that depends on the seed than its parameters",
    ),
    "a start of its own": (
        "class net(Linear):\n    def __init__(self, image_shape):\n        super().__init__(image_shape)\n"
        "        nn.init.constant_(self.linear.bias, random.SystemRandom().random())\n",
        "begins with other parameters when it is made again for the same seed",
    ),
    "images changed": (
        "class net(Linear):\n    def forward(self, images):\n        images -= 0.5\n"
        "        return self.linear(images.flatten(1))\n",
        "changes the images that it is given",
    ),
    "unused": (
        "class net(Linear):\n    def __init__(self, image_shape):\n        super().__init__(image_shape)\n"
        "        self.spare = nn.Linear(2, 3)\n",
        "its parameter spare.weight has no effect on the features",
    ),
    "detached": (
        "class net(Linear):\n    def after(self, x):\n        return x.detach()\n",
        "its features do not depend on its parameters",
    ),
    "a head": (
        "class net(Linear):\n    def __init__(self, image_shape):\n        super().__init__(image_shape)\n"
        "        self.head = nn.Linear(5, 5)\n    def after(self, x):\n        return self.head(x)\n",
        "its parameter head.weight has the name of the linear head that every network gets",
    ),
    "no parameters": ("def net(image_shape):\n    return nn.Flatten()\n", "has no parameters that are trained"),
    "eps": (
        f"def net(image_shape):\n    return nn.Sequential({FLAT}, nn.BatchNorm1d(5, eps=1e-3))\n",
        "its batch norm 2 has eps 0.001, and bn_eps is 1e-05; give both the same value",
    ),
    "once differentiable": (
        "class Once(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n        return x * 2\n"
        "    @staticmethod\n    @torch.autograd.function.once_differentiable\n"
        "    def backward(ctx, g):\n        return g * 2\n"
        "class net(Linear):\n    def after(self, x):\n        return Once.apply(x)\n",
        "has no second derivative, which order: second needs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence_with_the_network(tmp_path, name):
    source, said = FAULTS[name]
    path = write(tmp_path, HEAD + source)
    field, message = fault(own_config(path, "net"))
    assert field == "network"
    assert message.startswith("net.py:net: ") and said in message
    assert "\n" not in message and len(message) < 500


def test_what_cannot_be_imported_is_told_with_its_line(tmp_path):
    path = write(tmp_path, "import torch\n\nx = 1 / 0\n")
    assert "net.py:net: " in (said := fault(own_config(path, "net"))[1])
    assert "can't be imported: ZeroDivisionError" in said and "net.py, line 3" in said
    assert "there is no file" in fault(own_config(tmp_path / "absent.py", "net"))[1]
    assert "can't be imported: ModuleNotFoundError" in fault(own_config("no_such_module_anywhere", "net"))[1]


def test_first_order_asks_for_no_second_derivative(tmp_path):
    path = write(tmp_path, HEAD + FAULTS["once differentiable"][0])
    assert fault(own_config(path, "net", order="first")) == ("", "")


def test_batch_norm_of_ones_own_cannot_be_inductive(tmp_path):
    source = "class net(Linear):\n    def after(self, x):\n        return x - x.mean(0)\n"
    path = write(tmp_path, HEAD + source)
    assert fault(own_config(path, "net")) == ("", "")
    assert "against batch_norm: inductive" in fault(own_config(path, "net", batch_norm="inductive"))[1]


def test_channels_that_reach_nothing_are_refused(tmp_path):
    path = write(tmp_path)
    for function in ("Small", "plain", "conv4"):
        assert fault(own_config(path, function, batch_norm="inductive")) == ("", "")
    field, message = fault(own_config(path, channels=8))
    assert (field, message.partition(";")[0]) == ("channels", "8 never reaches network net.py:Small")


def test_the_size_of_a_checkpoint_counts_its_parameters(tmp_path):
    config = own_config(write(tmp_path), "plain")
    assert parameter_count(config) == 784 * 5 + 5 + 3 * 6
    assert MamlTrainer(str(tmp_path)).checkpoint_bytes(config) == parameter_count(config) * 3 * 8
    assert MamlTrainer().checkpoint_bytes(config) == 0  # its code may not be run
