"""The explicit losses term by term: coefficients, the head's path, and what each switch takes away."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapt_to, adapted_names, graph_gradient, query_outcome
from trainers.maml.engines.outcomes import outcome_of
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.methods.contrastive import (
    Explicit,
    HeadPath,
    coefficients,
    explicit_outcome,
    extended,
    head_of,
    head_path,
    interference_loss,
)
from trainers.maml.model import Model, build_model
from trainers.maml.networks import HEAD, Params, initial_params, zero_head

EXACT = {"rtol": 1e-10, "atol": 1e-12}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Random softmax outputs of 5 ways: (steps, 10, 5) of the support and (15, 5) of the query images."""

    support: Tensor
    query: Tensor
    labels: Tensor
    query_labels: Tensor

    @property
    def path(self) -> HeadPath:
        return HeadPath(self.support, self.query.log())


@pytest.fixture(params=[1, 3])
def drawn(request) -> Drawn:
    """Return outputs after 1 and after 3 inner steps, labels unbalanced."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(request.param * 10 + 15, 5, generator=generator, dtype=torch.float64)
    support, query = F.softmax(logits, dim=1).split([request.param * 10, 15])
    labels, query_labels = torch.randint(5, (25,), generator=generator).split([10, 15])
    return Drawn(support.view(request.param, 10, 5), query, labels, query_labels)


def by_loop(drawn: Drawn, kind: str) -> Tensor:
    """Return Eq. 7's coefficient, or Eq. 9's, of every pair: one pair, one step and one class at a time."""
    found = torch.zeros(10, 15, dtype=torch.float64)
    for s in range(10):
        for q in range(15):
            t, u = int(drawn.labels[s]), int(drawn.query_labels[q])
            for step in drawn.support:
                full = drawn.query[q, t] - float(t == u)
                if kind == "full":
                    full = full + step[s, u]
                    for j in range(5):
                        full = full - drawn.query[q, j] * step[s, j]
                found[s, q] += full
    return found


@pytest.mark.parametrize("kind", ["full", "reduced"])
def test_coefficients_equal_the_printed_sums_pair_by_pair(drawn, kind):
    residual = drawn.path.residual(drawn.query_labels)
    torch.testing.assert_close(coefficients(drawn.labels, residual, drawn.path, kind), by_loop(drawn, kind), **EXACT)


@pytest.mark.parametrize("kind", ["full", "reduced"])
def test_pairs_of_one_class_always_attract(drawn, kind):
    """For t = u the full coefficient is -(1 - s_u)(1 - q_u) - sum over the others of s_j q_j."""
    found = coefficients(drawn.labels, drawn.path.residual(drawn.query_labels), drawn.path, kind)
    same_class = drawn.labels[:, None] == drawn.query_labels
    assert (found[same_class] < 0).all()
    s, q = drawn.support.sum(0)[:, None], drawn.query
    if kind == "reduced":
        assert (found[~same_class] > 0).all()
    else:
        assert (found[~same_class] < 0).any() and (found[~same_class] > 0).any()
        steps, own = len(drawn.support), torch.eye(5, dtype=torch.float64)[drawn.query_labels]
        s_u, q_u = (s * own).sum(2), (q * own).sum(1)
        expected = -(steps - s_u) * (1 - q_u) - (s * q * (1 - own)).sum(2)
        torch.testing.assert_close(found[same_class], expected[same_class], **EXACT)


def test_with_a_uniform_support_softmax_the_full_coefficient_is_the_reduced_one(drawn):
    path = drawn.path._replace(support=torch.full_like(drawn.support, 0.2))
    full, reduced = (
        coefficients(drawn.labels, path.residual(drawn.query_labels), path, kind) for kind in ("full", "reduced")
    )
    torch.testing.assert_close(full, reduced, **EXACT)


def first_episode(config, pixels) -> Episode:
    return gather(training_draw(config, 0), pixels, config).at(0)


def leaves_of(config, *, zero: bool = False) -> Params:
    """Return parameters with a bias that isn't zero, unless the whole head is to be."""
    params = initial_params(config)
    if "head.bias" in params:
        params["head.bias"] = torch.linspace(-0.3, 0.4, config.ways, dtype=torch.float64)
    params = zero_head(params) if zero else params
    return {name: value.clone().requires_grad_() for name, value in params.items()}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_heads_path_is_that_of_adapting_the_head_alone(tiny, noise, steps, bias):
    config = tiny(head_bias=bias)
    episode, params, model = first_episode(config, noise), leaves_of(config), build_model(config, vectorised=False)
    how = Adaptation(adapted_names("anil", params), steps, 0.3, graph_gradient("first"))
    trajectory = adapt_to(model, params, episode, how)
    support = extended(model.support_features(params, episode), params)
    query = extended(model.query_features(params, episode), params)
    path = head_path(support, query, head_of(params), episode.support_labels, steps, 0.3)
    before = torch.stack([F.softmax(model.support_logits(fast, episode), dim=1) for fast in trajectory[:-1]])
    torch.testing.assert_close(path.support, before, **EXACT)
    torch.testing.assert_close(path.logits, model.query_logits(trajectory[-1], episode), **EXACT)


def gradient(config, params: Params, episode: Episode) -> Params:
    """Return the outer gradient of one episode."""
    model = build_model(config, vectorised=False)
    objective = outcome_of(config, model, graph_gradient)(params, episode, config.inner_lr).objective
    found = torch.autograd.grad(objective, list(params.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(params, found, strict=True))


def gap(a: Params, b: Params, names) -> float:
    """Return the largest difference of a tensor relative to the norm of all of `b`."""
    whole = torch.cat([b[name].flatten() for name in names]).norm()
    return max(float((a[name] - b[name]).norm() / whole) for name in names)


def encoder_of(params: Params) -> list[str]:
    return [name for name in params if name not in HEAD]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("order", "steps"), [("first", 1), ("first", 4), ("second", 1)])
def test_the_explicit_gradient_is_that_of_anil_in_encoder_and_head(tiny, noise, order, steps, bias):
    values = {"order": order, "inner_steps": steps, "head_bias": bias}
    explicit, anil = tiny(algorithm="contrastive", **values), tiny(algorithm="anil", **values)
    episode, params = first_episode(anil, noise), leaves_of(anil)
    found, expected = gradient(explicit, params, episode), gradient(anil, params, episode)
    assert gap(found, expected, list(params)) < 1e-10


def test_eq_8_as_printed_leaves_out_part_of_the_encoders_gradient_and_none_of_the_heads(tiny, noise):
    values = {"order": "second", "inner_steps": 1, "inner_lr": 0.5}
    printed = tiny(algorithm="contrastive", second_order_form="printed", **values)
    anil = tiny(algorithm="anil", **values)
    episode, params = first_episode(anil, noise), leaves_of(anil)
    found, expected = gradient(printed, params, episode), gradient(anil, params, episode)
    assert gap(found, expected, encoder_of(params)) > 1e-3
    assert gap(found, expected, [name for name in params if name in HEAD]) < 1e-10


def test_loss_and_accuracy_are_those_of_the_adapted_head(tiny, noise):
    config = tiny(algorithm="contrastive", order="first", inner_steps=3)
    episode, params, model = first_episode(config, noise), leaves_of(config), build_model(config, vectorised=False)
    found = outcome_of(config, model, graph_gradient)(params, episode, config.inner_lr)
    how = Adaptation(adapted_names("anil", params), 3, config.inner_lr, graph_gradient("first"))
    expected = query_outcome(model, params, episode, how)
    torch.testing.assert_close(found.loss, expected.loss, **EXACT)
    assert torch.equal(found.accuracy, expected.accuracy)


def test_interference_off_takes_away_the_pull_on_the_heads_columns_and_nothing_else(tiny, noise):
    values = {"algorithm": "contrastive", "order": "first"}
    on, off = tiny(**values), tiny(**values, interference=False)
    episode, params, model = first_episode(on, noise), leaves_of(on), build_model(on, vectorised=False)
    how = Adaptation(adapted_names("anil", params), on.inner_steps, on.inner_lr, graph_gradient("first"))
    adapted = adapt_to(model, params, episode, how)[-1]
    features = model.query_features(params, episode)
    q = F.softmax(model.query_logits(adapted, episode), dim=1).detach()
    term = 0.0
    for image, label in enumerate(episode.query_labels.tolist()):
        for j in range(3):
            weight = params["head.weight"][j].detach()
            term = term + (q[image, j] - float(j == label)) * (weight @ features[image]) / len(q)
    grads = torch.autograd.grad(term, list(params.values()), allow_unused=True, materialize_grads=True)
    term_gradient = dict(zip(params, grads, strict=True))
    with_it, without = gradient(on, params, episode), gradient(off, params, episode)
    difference = {name: with_it[name] - without[name] for name in params}
    assert all(not difference[name].any() for name in HEAD)
    assert gap(difference, term_gradient, encoder_of(params)) < 1e-10
    assert gap(with_it, without, encoder_of(params)) > 1e-2


def test_a_zero_head_has_no_interference_and_its_first_coefficient_is_the_reduced_one(tiny, noise):
    values = {"algorithm": "contrastive", "order": "first", "inner_steps": 1}
    full = tiny(**values)
    bare = tiny(**values, interference=False, coefficient="reduced")
    episode, zero = first_episode(full, noise), leaves_of(full, zero=True)
    assert gap(gradient(bare, zero, episode), gradient(full, zero, episode), list(zero)) < 1e-12
    features = build_model(full, vectorised=False).query_features(zero, episode)
    assert float(interference_loss(zero["head.weight"].detach(), features, torch.ones(9, 3).double()).detach()) == 0


@pytest.mark.parametrize(("zero", "steps"), [(False, 1), (True, 2)])
def test_the_reduced_coefficient_is_another_one_with_a_random_head_or_after_a_first_step(tiny, noise, zero, steps):
    values = {"algorithm": "contrastive", "order": "first", "inner_steps": steps}
    full, reduced = tiny(**values), tiny(**values, coefficient="reduced")
    episode, params = first_episode(full, noise), leaves_of(full, zero=zero)
    with_full, with_reduced = gradient(full, params, episode), gradient(reduced, params, episode)
    assert gap(with_reduced, with_full, encoder_of(params)) > 1e-3
    assert gap(with_reduced, with_full, list(HEAD)) == 0


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_released_head_never_moves_and_its_encoder_is_the_papers(tiny, noise, order):
    values = {"algorithm": "contrastive", "order": order, "inner_steps": 1}
    paper, released = tiny(**values), tiny(**values, head_update="released")
    episode, params = first_episode(paper, noise), leaves_of(paper)
    moving, still = gradient(paper, params, episode), gradient(released, params, episode)
    assert all(not still[name].any() and moving[name].any() for name in HEAD)
    assert all(torch.equal(still[name], moving[name]) for name in encoder_of(params))


@pytest.mark.parametrize(("order", "form"), [("first", "exact"), ("second", "exact"), ("second", "printed")])
def test_gradients_pass_through_the_support_features_in_second_order_alone(order, form):
    """Support and query features have a parameter each, so that what reaches either shows."""
    generator = torch.Generator().manual_seed(0)
    support, query = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    empty = torch.zeros(0)
    episode = Episode(empty, torch.arange(3).repeat(2), empty, torch.arange(3).repeat(2))
    model = Model(
        lambda params, _: params["support"] * support, lambda params, _: params["query"] * query, F.cross_entropy
    )
    params = {
        "support": torch.ones(4, dtype=torch.float64), "query": torch.ones(4, dtype=torch.float64),
        "head.weight": torch.randn(3, 4, generator=generator, dtype=torch.float64),
    }  # fmt: skip
    params = {name: value.requires_grad_() for name, value in params.items()}
    objective = explicit_outcome(model, params, episode, Explicit(order, 1, 0.3, form=form)).objective
    of_support, of_query = torch.autograd.grad(
        objective, [params["support"], params["query"]], allow_unused=True, materialize_grads=True
    )
    assert of_query.any()
    assert bool(of_support.any()) == (order == "second")
