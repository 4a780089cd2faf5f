"""Recipe numbers: raised by hand when a change moves the numbers a config produces, so that old results stay apart.

A trial's identity takes only the entries its config uses; golden losses in the tests fail when numbers move without
a raise here.
"""

from trainers.config import TrialConfig

RECIPES: dict[str, int] = {
    "core": 1,  # network, initialisation, episodes, first-order MAML, Adam, evaluation
    "second_order": 1,
    "anil": 1,
    "episode_pool": 1,
    "omniglot": 1,
    "strokes": 1,
    "mini_imagenet": 1,
}


def recipe_of(config: TrialConfig) -> dict[str, int]:
    """Return the recipe entries that `config` uses."""
    used = ["core", config.dataset]
    if config.order == "second" and config.inner_steps > 0:
        used.append("second_order")
    if config.algorithm == "anil":
        used.append("anil")
    if config.episode_pool:
        used.append("episode_pool")
    return {name: RECIPES[name] for name in used}
