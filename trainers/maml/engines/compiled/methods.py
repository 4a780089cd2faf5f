"""BOIL, learned inner rates, the multi-step loss, Reptile and iMAML by whole compiled passes (see `engine`).

An inner step is theta_k+1 = theta_k - a_k * g_k, elementwise, with g_k the support gradient at theta_k and a_k zero
where a parameter does not adapt. With v the gradient of what follows at theta_k+1, the rates a_k have the gradient
-g_k * v, and at theta_k there is v - H_k (a_k * v) plus the weighted query gradient there; H_k is the Hessian of the
support loss, 0 in first order. iMAML solves its system with the same products H v.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.maml.adapt import adapted_names
from trainers.maml.engines.compiled.engine import CompiledEngine, EpisodeSets, LabelledSet
from trainers.maml.engines.compiled.products import Array
from trainers.maml.engines.engine import MetaGradient, evaluation_algorithm, living, run_by_run
from trainers.maml.episodes import Episode
from trainers.maml.methods.implicit import conjugate_gradient
from trainers.maml.methods.reptile import minibatch
from trainers.maml.networks import Params
from trainers.maml.rates import gradient_of_rates, is_rate, rates_of

RateOf = Callable[[int], Any]
"""Number of the inner step from 0 -> its rates as a flat array."""


class _Found(NamedTuple):
    """One episode: outer gradient (flat), that of the rates at each inner step, query loss and accuracy."""

    gradient: Array
    of_rates: Sequence[Array]
    loss: float
    accuracy: float


class MethodsEngine(CompiledEngine):
    """See engine.Engine."""

    def _bends(self) -> bool:
        return self._config.order == "second"

    def _one(self, start: Array, sets: EpisodeSets, lr: Any) -> tuple[Array, float, float]:
        """Return one episode's outer gradient, query loss and accuracy where all parameters adapt at `lr`."""
        found = self._unrolled(start, sets, lambda step: lr, _last(self._config.inner_steps))
        return found.gradient, found.loss, found.accuracy

    @np.errstate(all="ignore")
    def meta_gradient(
        self,
        params: Params,
        episodes: list[Episode],
        inner_lr: Tensor,
        alive: list[bool],
        weights: Tensor | None = None,
    ) -> MetaGradient:
        """See engine.Engine."""
        after = _last(self._config.inner_steps) if weights is None else weights.tolist()
        return run_by_run(partial(self._mean, weights=after), params, episodes, inner_lr, alive)

    @np.errstate(all="ignore")
    def correct(
        self, params: Params, episodes: list[Episode], inner_lr: Tensor, alive: list[bool], scored: Sequence[int]
    ) -> Tensor:
        """See engine.Engine."""
        algorithm = evaluation_algorithm(self._config)
        counts = torch.zeros(len(alive), len(episodes[0].support_labels), len(scored), dtype=torch.int64)
        for run in living(alive):
            own = {name: value[run] for name, value in params.items()}
            start = self._layout.flat_of(_network(own))
            rate = self._rates(own, adapted_names(algorithm, own), float(inner_lr[run]), max(scored))
            for e, sets in enumerate(self._episodes(episodes[run])):
                counts[run, e] = torch.tensor(self._right_after(start, sets, rate, scored))
        return counts

    def _mean(self, own: Params, episodes: Episode, lr: float, weights: Sequence[float]) -> MetaGradient:
        """Return the mean of outer gradient, query loss and accuracy over the stack `episodes`."""
        network, names = _network(own), adapted_names(self._config.algorithm, own)
        start = self._layout.flat_of(network)
        rate = self._rates(own, names, lr, self._config.inner_steps)
        count = len(episodes.support_labels)
        share = start.dtype.type(1 / count)
        total, loss, accuracy = np.zeros_like(start), 0.0, 0.0
        of_rates = [np.zeros_like(start) for _ in range(self._config.inner_steps)]
        for e, sets in enumerate(self._episodes(episodes)):
            if self._config.algorithm == "reptile":
                found = self._reptile(start, sets, episodes.at(e), lr)
            elif self._config.algorithm == "imaml":
                found = self._implicit(start, sets, rate)
            else:
                found = self._unrolled(start, sets, rate, weights)
            total += share * found.gradient
            for step, part in enumerate(found.of_rates):
                of_rates[step] += share * part
            loss, accuracy = loss + found.loss / count, accuracy + found.accuracy / count
        parts = [{name: self._layout.params_of(part, network)[name] for name in names} for part in of_rates]
        learned = gradient_of_rates(self._config, parts) if parts else {}
        mean = torch.tensor([loss, accuracy], dtype=torch.float64)
        return MetaGradient(self._layout.params_of(total, network) | learned, *mean)

    def _rates(self, own: Params, names: tuple[str, ...], lr: float, steps: int) -> RateOf:
        """Return the rates of the first `steps` inner steps: those of the parameters `names`, 0 for all others."""
        learned = rates_of(self._config, own)

        def at(step: int) -> Array:
            every = {name: torch.zeros_like(value) for name, value in _network(own).items()}
            for name in names:
                every[name] += lr if learned is None else learned(name, step)
            return self._layout.flat_of(every)

        if learned is None:
            same = at(0)
            return lambda step: same
        found = [at(step) for step in range(steps)]
        return lambda step: found[step]

    def _unrolled(self, start: Array, sets: EpisodeSets, rate: RateOf, weights: Sequence[float]) -> _Found:
        """Return the outcome of BOIL, learned rates and the multi-step loss."""
        steps, second = self._config.inner_steps, self._config.order == "second"
        at, supports, slopes, of_rates = [start], list[LabelledSet](), list[Array](), list[Array]()
        for k in range(steps):
            supports.append(self._support(sets, k if second else 0))
            slopes.append(self._slope(at[-1], supports[-1]))
            at.append(at[-1] - rate(k) * slopes[-1])
        query = self._query(sets)
        self._encode(at[-1], query)
        v, loss = self._gradient(at[-1], query)
        accuracy = query.accuracy()
        if steps:
            v = weights[-1] * v
        for k in reversed(range(steps)):
            of_rates.append(-slopes[k] * v)
            if second:
                v = v - self._bent(at[k], supports[k], rate(k) * v)
            if k and weights[k - 1]:
                v = v + weights[k - 1] * self._slope(at[k], query)
        return _Found(v, of_rates[::-1], loss, accuracy)

    def _reptile(self, start: Array, sets: EpisodeSets, episode: Episode, lr: float) -> _Found:
        """Return the outcome of `trainers.maml.methods.reptile`."""
        ways, shots, at = self._config.ways, self._config.reptile_shots or self._config.shots, start
        for step in range(self._config.inner_steps):
            batch = minibatch(episode, step, ways=ways, shots=shots)
            images = self._network.padded(batch.support_images[None])[0]
            labels = batch.support_labels.numpy()
            at = at - lr * self._slope(at, self._set("support", 0, images, labels, len(images)))
        query = self._query(sets)
        self._encode(at, query)
        return _Found((start - at) / lr, [], self._head(at, query), query.accuracy())

    def _implicit(self, start: Array, sets: EpisodeSets, rate: RateOf) -> _Found:
        """Return the outcome of `trainers.maml.methods.implicit`."""
        pull, support, at = self._config.proximal, self._support(sets, 0), start
        for k in range(self._config.inner_steps):
            at = at - rate(k) * (self._slope(at, support) + pull * (at - start))
        query = self._query(sets)
        self._encode(at, query)
        slope, loss = self._gradient(at, query)
        self._slope(at, support)  # `_bent` goes on from this pass

        def product(v: Tensor) -> Tensor:
            return v + torch.from_numpy(self._bent(at, support, v.numpy())) / pull

        solved = conjugate_gradient(product, torch.from_numpy(slope), self._config.cg_steps)
        return _Found(solved.numpy(), [], loss, query.accuracy())

    def _right_after(self, start: Array, sets: EpisodeSets, rate: RateOf, scored: Sequence[int]) -> list[int]:
        """Return the query images right after each number of inner steps in `scored`."""
        support, query, at, found = self._support(sets, 0), self._query(sets), start, list[int]()
        pull = self._config.proximal if self._config.algorithm == "imaml" else 0.0
        for k in range(max(scored) + 1):
            if k in scored:
                self._encode(at, query)
                self._head(at, query)
                found.append(query.right())
            if k < max(scored):
                slope = self._slope(at, support)
                at = at - rate(k) * (slope + pull * (at - start) if pull else slope)
        return found

    def _slope(self, at: Array, images: LabelledSet) -> Array:
        """Return the gradient of a set's loss at `at`."""
        self._encode(at, images)
        return self._gradient(at, images)[0]


def _last(steps: int) -> list[float]:
    """Return the weights of query losses of which the last one counts alone."""
    return [0.0] * (steps - 1) + [1.0]


def _network(params: Params) -> Params:
    return {name: value for name, value in params.items() if not is_rate(name)}
