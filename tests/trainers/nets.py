"""Networks as people have them: functions and classes of a module, for tests."""

import torch
from torch import nn


def conv4(image_shape, channels):
    """Conv-4 with strides, in the order of the paper's released code."""
    layers, inputs = [], image_shape[0]
    for kernel, stride in [(3, 2), (3, 2), (3, 2), (2, 1)]:
        layers += [nn.Conv2d(inputs, channels, kernel, stride), nn.ReLU(), nn.BatchNorm2d(channels)]
        inputs = channels
    return nn.Sequential(*layers, nn.Flatten())


class Small(nn.Module):
    """Layers of several kinds: batch norm after a convolution and after a linear layer, a lazy one, a shared one."""

    def __init__(self, image_shape):
        super().__init__()
        self.conv = nn.Conv2d(image_shape[0], 4, 5, stride=3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.LazyLinear(6)
        self.last = nn.BatchNorm1d(6)
        self.shared = nn.Linear(6, 6, bias=False)
        self.register_buffer("scale", torch.full((1,), 0.5))

    def forward(self, images):
        x = nn.functional.elu(self.norm(self.conv(images)))
        x = torch.tanh(self.last(self.linear(x.flatten(1))))
        return self.shared(self.shared(x)) * self.scale


def plain(image_shape):
    """No batch norm."""
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2] * image_shape[0], 5), nn.Tanh())
