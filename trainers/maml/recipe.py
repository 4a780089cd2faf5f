"""Recipe numbers: raised by hand when a change alters the numbers of a config, so that old results stay apart.

A trial's identity takes only the entries that its config uses. Golden losses in the tests fail if numbers change and
no entry here is raised.
"""

from trainers.data.catalog import CATALOG
from trainers.maml.config import TrialConfig
from trainers.maml.network_names import CONV4, is_own

OWN = "own_network"
"""How a network of one's own is made a function of its parameters. Its own code is hashed instead."""

RECIPES: dict[str, int] = {
    "core": 1,  # network, initialisation, episodes, first-order MAML, Adam, evaluation
    "second_order": 1,
    "anil": 1,
    "contrastive": 1,
    "boil": 1,
    "reptile": 1,
    "imaml": 1,
    "inner_rates": 1,
    "query_losses": 1,
    "squared_error": 1,
    "bn_relu": 1,
    "inductive": 1,
    "episode_pool": 1,
    "label_rule": 1,
    "rotations": 1,
    "probes": 1,
    "omniglot": 1,
    "strokes": 1,
    "mini_imagenet": 1,
    "added_data": 1,  # episodes of classes that differ in their number of images
    "resnet12": 1,
    "mlp": 1,
    OWN: 1,
}


def of_data(dataset: str) -> str:
    """Return the name of the entry of a data set."""
    return dataset if dataset in CATALOG else "added_data"


def recipe_of(config: TrialConfig) -> dict[str, int]:
    """Return the recipe entries that `config` uses."""
    used = ["core", of_data(config.dataset)]
    if config.order == "second" and config.inner_steps > 0:
        used.append("second_order")
    optional = {
        of_network(config.network): config.network not in CONV4,
        config.algorithm: config.algorithm != "maml",
        config.loss: config.loss != "cross_entropy",
        config.net_order: config.net_order != "relu_bn",
        config.batch_norm: config.batch_norm != "transductive",
        "inner_rates": config.inner_rates != "fixed",
        "query_losses": config.query_losses != "last_step",
        "episode_pool": config.episode_pool > 0,
        "label_rule": config.label_rule != "random",
        "rotations": config.rotations,
        "probes": config.probe_every > 0,
    }
    used += [name for name, is_used in optional.items() if is_used]
    return {name: RECIPES[name] for name in used}


def of_network(network: str) -> str:
    """Return the name of the recipe entry of `network`; Conv-4 is in the core."""
    return OWN if is_own(network) else network
