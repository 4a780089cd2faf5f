"""Inner loops and their outer gradients by whole compiled passes, one episode at a time, for one thread of a CPU.

MAML's second-order gradient is the query gradient v at the adapted weights, taken back through each inner step:
v - inner_lr H v with H the Hessian of the support loss there (Finn et al. 2017, eq. 1). H v is the derivative of the
support gradient along v, so no graph is ever built; docs/theory.md derives it. ANIL's inner steps move the head alone:
H is that of the head, and what the support features would change is one more gradient of the encoder.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.maml.adapt import is_right
from trainers.maml.config import TrialConfig
from trainers.maml.engines.compiled import head
from trainers.maml.engines.compiled.network import Kept, Layout, Network, Views
from trainers.maml.engines.compiled.products import Array
from trainers.maml.engines.engine import MetaGradient, evaluation_algorithm, living, run_by_run
from trainers.maml.engines.kernel_cache import alone
from trainers.maml.episodes import Episode
from trainers.maml.networks import Params


class EpisodeSets:
    """One episode: images (B, H, W, C) with padding, the query's after the support's where those normalise them."""

    def __init__(self, support: Array, support_labels: Array, query: Array, query_labels: Array) -> None:
        self.support, self.support_labels = support, support_labels
        self.query, self.query_labels = query, query_labels


class LabelledSet:
    """A labelled set on its way through the network: the last images of `images` carry the labels."""

    def __init__(self, images: Array, labels: Array, reference: int, kept: Kept) -> None:
        self.images, self.labels, self.reference, self.kept = images, labels, reference, kept
        self.logits = self.slope = np.empty((len(labels), 0))

    @property
    def features(self) -> Array:
        """The features (B, D) of the labelled images."""
        return self.kept.features[-len(self.labels) :]

    @property
    def g_features(self) -> Array:
        """The gradient of the loss by them."""
        return self.kept.g_features[-len(self.labels) :]

    def right(self) -> int:
        """Return how many images are right."""
        return int(is_right(torch.from_numpy(self.logits), torch.from_numpy(self.labels)).sum())

    def accuracy(self) -> float:
        """Return the share of images that are right."""
        return self.right() / len(self.labels)


_READY: set[tuple[str, bool]] = set()
"""The kinds of kernels that this process has: their precision, and whether second order is among them."""


class CompiledEngine:
    """See engine.Engine."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self._network = Network(config)
        self._layout: Layout = self._network.layout
        self._kept: dict[Any, Kept] = {}
        self._loss = head.LOSSES[config.loss]
        self._compile()

    def _bends(self) -> bool:
        """Return whether outer gradients need the Hessian of the whole network."""
        return self._config.algorithm == "maml" and self._config.order == "second"

    def _compile(self) -> None:
        """Have all kernels ready, by one step on two images; other processes of a machine load what one compiles."""
        config = self._config
        kind = (config.dtype, self._bends())
        if kind in _READY:
            return
        images, labels = np.zeros((2, *self._network.image_shape), self._layout.dtype), np.zeros(2, np.int64)
        start = np.zeros(self._layout.size, self._layout.dtype)
        with alone():
            self._one(start, EpisodeSets(images, labels, images, labels), start.dtype.type(0))
        self._kept.clear()
        _READY.add(kind)

    @np.errstate(all="ignore")  # a training that diverges is found by its loss or gradient
    def meta_gradient(
        self,
        params: Params,
        episodes: list[Episode],
        inner_lr: Tensor,
        alive: list[bool],
        weights: Tensor | None = None,
    ) -> MetaGradient:
        """See engine.Engine; there are never `weights`, which are for `methods`."""
        return run_by_run(self._mean_of_run, params, episodes, inner_lr, alive)

    @np.errstate(all="ignore")
    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], scored: Sequence[int]
    ) -> Tensor:
        """See engine.Engine."""
        head_alone = evaluation_algorithm(self._config) == "anil"
        count = len(episodes[0].support_labels)
        counts = torch.zeros(len(alive), count, len(scored), dtype=torch.int64)
        for run in living(alive):
            start = self._layout.flat_of({name: value[run] for name, value in params.items()})
            for e, sets in enumerate(self._episodes(episodes[run])):
                counts[run, e] = torch.tensor(self._scores(start, sets, float(inner_lr[run]), scored, head_alone))
        return counts

    def _mean_of_run(self, params: Params, episodes: Episode, lr: float) -> MetaGradient:
        found, *mean = self._mean_gradient(params, episodes, lr)
        return MetaGradient(self._layout.params_of(found, params), *torch.tensor(mean, dtype=torch.float64))

    def _mean_gradient(self, params: Params, episodes: Episode, lr: float) -> tuple[Array, float, float]:
        """Return the mean of outer gradient (flat), query loss and accuracy over the stack `episodes`."""
        start = self._layout.flat_of(params)
        total, loss, accuracy = np.zeros_like(start), 0.0, 0.0
        count = len(episodes.support_labels)
        share = start.dtype.type(1 / count)
        for sets in self._episodes(episodes):
            found, own_loss, own_accuracy = self._one(start, sets, start.dtype.type(lr))
            total += share * found
            loss, accuracy = loss + own_loss / count, accuracy + own_accuracy / count
        return total, loss, accuracy

    def _one(self, start: Array, sets: EpisodeSets, lr: Any) -> tuple[Array, float, float]:
        """Return one episode's outer gradient, query loss and accuracy."""
        return (self._of_maml if self._config.algorithm == "maml" else self._of_anil)(start, sets, lr)

    def _of_maml(self, start: Array, sets: EpisodeSets, lr: Any) -> tuple[Array, float, float]:
        """See `_one`; all parameters adapt."""
        steps, second = self._config.inner_steps, self._config.order == "second"
        weights, supports = [start], []
        for k in range(steps):
            support = self._support(sets, k if second else 0)
            self._encode(weights[-1], support)
            slope = self._gradient(weights[-1], support)[0]
            supports.append(support)
            weights.append(weights[-1] - lr * slope)
        query = self._query(sets)
        self._encode(weights[-1], query)
        v, loss = self._gradient(weights[-1], query)
        if second:
            for k in reversed(range(steps)):
                v = v - lr * self._bent(weights[k], supports[k], v)
        return v, loss, query.accuracy()

    def _of_anil(self, start: Array, sets: EpisodeSets, lr: Any) -> tuple[Array, float, float]:
        """See `_one`; the head alone adapts."""
        steps, second = self._config.inner_steps, self._config.order == "second"
        weights = [start]
        support, query = self._support(sets, 0), self._query(sets)
        slopes = []
        if steps:
            self._encode(start, support)
        for _ in range(steps):
            weights.append(weights[-1] - lr * self._head_gradient(weights[-1], support)[0])
            slopes.append(support.slope)
        self._encode(start, query)
        v, loss = self._gradient(weights[-1], query)
        if not second or not steps:
            return v, loss, query.accuracy()
        reached = np.zeros(support.features.shape)
        for k in reversed(range(steps)):
            bent, of_features = self._head_bent(weights[k], support, slopes[k], v)
            v = v - lr * bent
            reached -= lr * of_features
        support.kept.g_features[:] = reached
        encoder = np.zeros_like(v)
        self._network.backward(self._layout.views(start), support.kept, self._layout.views(encoder))
        return v + encoder, loss, query.accuracy()

    def _scores(self, start: Array, sets: EpisodeSets, lr: float, scored: Sequence[int], head_alone: bool) -> list[int]:
        """Return the query images right after each number of inner steps in `scored`."""
        weights, found = start, list[int]()
        support, query = self._support(sets, 0), self._query(sets)
        rate = start.dtype.type(lr)
        for k in range(max(scored) + 1):
            if k:
                if k == 1 or not head_alone:
                    self._encode(weights, support)
                slope_of = self._head_gradient if head_alone else self._gradient
                weights = weights - rate * slope_of(weights, support)[0]
            if k in scored:
                if not head_alone or not found:
                    self._encode(weights, query)
                self._head(weights, query)
                found.append(query.right())
        return found

    def _encode(self, weights: Array, images: LabelledSet) -> None:
        self._network.forward(self._layout.views(weights), images.images, images.kept, images.reference)

    def _head(self, weights: Array, images: LabelledSet) -> float:
        """Set the set's logits and the slope of its loss; return the loss."""
        views = self._layout.views(weights)
        images.logits = head.logits_of(images.features, views.weight, views.bias)
        loss, images.slope = self._loss.value(images.logits, images.labels)
        return loss

    def _head_gradient(self, weights: Array, images: LabelledSet) -> tuple[Array, float]:
        """Return the gradient of the set's loss by the head alone (zero elsewhere), and the loss."""
        found = np.zeros_like(weights)
        loss = self._head(weights, images)
        out = self._layout.views(found)
        out.weight[:] = head.weight_gradient(images.slope, images.features)
        self._set_bias(out, images.slope)
        return found, loss

    def _gradient(self, weights: Array, images: LabelledSet) -> tuple[Array, float]:
        """Return the gradient of the set's loss at `weights`, and the loss; the set is encoded."""
        found, loss = self._head_gradient(weights, images)
        views = self._layout.views(weights)
        images.kept.g_features[: -len(images.labels)] = 0
        images.g_features[:] = head.feature_gradient(images.slope, views.weight)
        self._network.backward(views, images.kept, self._layout.views(found))
        return found, loss

    def _bent(self, weights: Array, images: LabelledSet, v: Array) -> Array:
        """Return the Hessian of the set's loss at `weights` times v; `_gradient` was there."""
        found = np.empty_like(weights)
        views, moved, out = (self._layout.views(flat) for flat in (weights, v, found))
        t = self._network.tangent_forward(views, moved, images.kept)
        tlogits = head.logits_of(images.features, moved.weight, moved.bias)
        tslope = self._loss.bend(images.slope, images.labels, tlogits + head.logits_of(t.features, views.weight, None))
        out.weight[:] = head.weight_gradient(images.slope, t.features) + head.weight_gradient(tslope, images.features)
        self._set_bias(out, tslope)
        t.g_features[:] = head.feature_gradient(tslope, views.weight) + head.feature_gradient(
            images.slope, moved.weight
        )
        self._network.tangent_backward(views, moved, images.kept, t, out)
        return found

    def _head_bent(self, weights: Array, images: LabelledSet, slope: Array, v: Array) -> tuple[Array, Array]:
        """Return the head's Hessian times v (zero elsewhere), and the gradient of their product by the features."""
        found = np.zeros_like(weights)
        views, moved, out = (self._layout.views(flat) for flat in (weights, v, found))
        tlogits = head.logits_of(images.features, moved.weight, moved.bias)
        tslope = self._loss.bend(slope, images.labels, tlogits)
        out.weight[:] = head.weight_gradient(tslope, images.features)
        self._set_bias(out, tslope)
        return found, head.feature_gradient(tslope, views.weight) + head.feature_gradient(slope, moved.weight)

    def _set_bias(self, out: Views, slope: Array) -> None:
        """Set the gradient of the head's bias; without a bias it stays zero."""
        out.bias[:] = slope.sum(axis=0) if self._config.head_bias else 0

    def _episodes(self, stack: Episode) -> list[EpisodeSets]:
        """Return the episodes of a stack, their images as the network reads them."""
        inductive = self._config.batch_norm == "inductive"
        support, query = self._network.padded(stack.support_images), self._network.padded(stack.query_images)
        labels = stack.support_labels.numpy(), stack.query_labels.numpy()
        both = np.concatenate([support, query], axis=1) if inductive else query
        return [EpisodeSets(support[e], labels[0][e], both[e], labels[1][e]) for e in range(len(support))]

    def _support(self, sets: EpisodeSets, place: int) -> LabelledSet:
        return self._set("support", place, sets.support, sets.support_labels, len(sets.support))

    def _query(self, sets: EpisodeSets) -> LabelledSet:
        inductive = self._config.batch_norm == "inductive"
        reference = len(sets.support) if inductive else len(sets.query)
        return self._set("query", 0, sets.query, sets.query_labels, reference)

    def _set(self, kind: str, place: int, images: Array, labels: Array, reference: int) -> LabelledSet:
        key = (kind, place, len(images))
        if key not in self._kept:
            self._kept[key] = Kept(self._layout, len(images), whole=kind == "support")
        return LabelledSet(images, labels, reference, self._kept[key])
