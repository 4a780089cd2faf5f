"""Combinations of methods that have no meaning are refused with a sentence; what the papers do is allowed."""

import pytest

from trainers.maml.config import resolve
from trainers.maml.engines.table import ENGINES_OF_DEVICE, cannot_treat, fastest
from trainers.maml.recipe import recipe_of
from trainers.trainer import ConfigError

REPTILE = {"algorithm": "reptile", "order": "first"}
IMAML = {"algorithm": "imaml"}
META_SGD = {"inner_rates": "per_parameter"}
PER_STEP = {"inner_rates": "per_layer_per_step"}
MULTI_STEP = {"query_losses": "every_step"}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"proximal": 2.0}, "proximal", "2.0 is only for algorithm imaml"),
        (REPTILE | {"cg_steps": 3}, "cg_steps", "3 is only for algorithm imaml"),
        ({"reptile_shots": 2}, "reptile_shots", "2 is only for algorithm reptile"),
        ({"annealed_steps": 10}, "annealed_steps", "10 is only for query_losses every_step"),
        (MULTI_STEP | {"inner_steps": 0}, "query_losses", "inner_steps is 0, so there is no step; raise inner_steps"),
        (
            MULTI_STEP | REPTILE,
            "query_losses",
            "gradient of reptile has no part for each inner step; use maml, anil or",
        ),
        (MULTI_STEP | IMAML, "query_losses", "gradient of imaml has no part for each inner step"),
        (MULTI_STEP | {"algorithm": "contrastive", "order": "first"}, "query_losses", "gradient of contrastive has no"),
        (META_SGD | {"inner_steps": 0}, "inner_rates", "per_parameter, but inner_steps is 0, so no step would learn"),
        (PER_STEP | REPTILE, "inner_rates", "per_layer_per_step, but the outer gradient of reptile has no part for"),
        (META_SGD | IMAML, "inner_rates", "the outer gradient of imaml has no part for them; use maml, anil or boil"),
        (META_SGD | {"algorithm": "anil", "eval_adapts": "all"}, "eval_adapts", "anil has rates only for what it"),
        (
            PER_STEP | {"algorithm": "boil", "eval_adapts": "head"},
            "eval_adapts",
            "head, but with inner_rates per_layer",
        ),
        (REPTILE | {"order": "second"}, "order", "second, but reptile has no gradient of an inner gradient; use first"),
        (REPTILE | {"inner_steps": 0}, "inner_steps", "0, but reptile follows where the inner steps lead"),
        (REPTILE | {"shots": 1, "queries": 4, "reptile_shots": 6}, "reptile_shots", "6, but an episode has shots + "),
        (REPTILE | {"reptile_shots": 0}, "reptile_shots", "greater than or equal to 1, got 0"),
        (IMAML | {"order": "first"}, "order", "first, but the outer gradient of imaml needs the inner loss's second"),
        (IMAML | {"inner_steps": 0}, "inner_steps", "0, but the outer gradient of imaml holds near the inner minimum"),
        (IMAML | {"proximal": 0.0}, "proximal", "greater than 0, got 0.0"),
        (IMAML | {"cg_steps": 0}, "cg_steps", "greater than or equal to 1, got 0"),
        ({"algorithm": "boil", "zero_head_every": 1}, "zero_head_every", "1, but boil adapts the encoder through the"),
        ({"algorithm": "boil", "eval_heads": "zeroed"}, "eval_heads", "a zero head passes no gradient on; use trained"),
        (
            {"algorithm": "boil", "probe_every": 5},
            "probe_every",
            "5, but probes know the inner loops of maml, anil and",
        ),
        (META_SGD | {"probe_every": 5}, "probe_every", "with inner_rates fixed and query_losses last_step"),
        (MULTI_STEP | {"probe_every": 5}, "probe_every", "leave probe_every out"),
        ({"inner_rates": "learned"}, "inner_rates", "got 'learned'"),
        ({"algorithm": "metasgd"}, "algorithm", "'maml', 'anil', 'contrastive', 'boil', 'reptile' or 'imaml', got"),
    ],
)
def test_a_combination_without_a_meaning_is_refused_with_a_sentence(values, field, words):
    with pytest.raises(ConfigError) as refused:
        resolve({"dataset": "omniglot"} | values)
    ((found, message),) = [tuple(problem) for problem in refused.value.problems]
    assert found == field
    assert words in message


@pytest.mark.parametrize(
    "values",
    [
        META_SGD | {"inner_steps": 1},
        META_SGD | {"algorithm": "anil", "eval_adapts": "head"},
        META_SGD | {"eval_adapts": "head"},
        PER_STEP | MULTI_STEP | {"annealed_steps": 15, "eval_steps": 10, "zero_head_every": 1},
        {"algorithm": "boil", "inner_steps": 1, "head_scale": 0.0},
        {"algorithm": "boil", "eval_adapts": "head", "eval_heads": "zeroed"},
        REPTILE | {"reptile_shots": 10, "shots": 1, "queries": 9, "zero_head_every": 1},
        IMAML | {"proximal": 0.5, "cg_steps": 2, "inner_steps": 16},
    ],
    ids=str,
)
def test_what_the_papers_do_is_allowed_and_every_engine_of_a_cpu_trains_it(values):
    config = resolve({"dataset": "omniglot"} | values)
    assert values.items() <= config.model_dump().items()
    assert fastest(config, "cpu") == "compiled"
    assert not any(cannot_treat(engine, config, "cpu") for engine in ENGINES_OF_DEVICE["cpu"])


def test_each_method_has_a_recipe_of_its_own_and_the_others_have_the_one_of_before():
    assert recipe_of(resolve({"dataset": "omniglot"})) == {"core": 1, "omniglot": 1, "second_order": 1}
    both = resolve({"dataset": "omniglot", "order": "first"} | PER_STEP | MULTI_STEP)
    assert recipe_of(both) == {"core": 1, "omniglot": 1, "inner_rates": 1, "query_losses": 1}
    for name, order in (("boil", "first"), ("reptile", "first"), ("imaml", "second")):
        assert name in recipe_of(resolve({"dataset": "omniglot", "algorithm": name, "order": order}))
