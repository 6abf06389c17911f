"""The rivals' recipes do what their papers say, however the project's own recipes change."""

from __future__ import annotations

from typing import get_args

import pytest

from kivfm_core.aligners.table import ALIGNERS
from kivfm_core.aligners.targets import TARGETS
from kivfm_core.objectives.balancing import BALANCES
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.recipes.recipe import Balance, Distance, Target
from kivfm_core.recipes.table import RECIPES

OURS = {"kpu", "kpu-joint", "kpu-joint-learned", "levels"}
RAW, PHI_S = "none", "phi-s"
PAPERS = {
    # How teachers share the loss; global and dense levels: target, distance; projector; adapters.
    "mse": ("fixed", (RAW, "mse"), (RAW, "mse"), "mlp", "one"),
    "am-radio": ("fixed", (RAW, "cosine"), (RAW, "cosine-smooth"), "mlp", "one"),
    "phi-s": ("fixed", (RAW, "cosine"), (PHI_S, "mse"), "mlp", "one"),
    "c-radio": ("fixed", ("direction", "angle"), (PHI_S, "mse"), "mlp", "one"),
    "theia": ("fixed", ("channel", "flat-smooth"), ("channel", "flat-smooth"), "mlp", "one"),
    "unic": ("dropping", ("channel", "even-smooth"), ("channel", "even-smooth"), "mlp", "one"),
    "dune": ("dropping", ("scale", "even-smooth"), ("scale", "even-smooth"), "attention", "one"),
    "sak": ("fixed", (RAW, "cosine-smooth"), (RAW, "cosine-smooth"), "mlp", "each"),
    "eupe": ("fixed", ("channel", "cosine"), ("channel", "cosine-smooth"), "mlp", "one"),
}


@pytest.mark.parametrize("name", sorted({*RECIPES} - OURS))
def test_a_rival_is_what_its_paper_says(name: str):
    recipe = RECIPES[name]
    matches = (recipe.match("global"), recipe.match("dense"))
    whole, dense = ((match.target, match.distance) for match in matches)
    assert PAPERS[name] == (recipe.balance, whole, dense, recipe.projector, recipe.adapters)
    assert recipe.readout == 0  # no rival asks the teachers' decoders


def test_every_name_that_a_recipe_may_give_is_in_a_table():
    assert get_args(Target) == tuple(TARGETS)
    assert get_args(Distance) == tuple(DISTANCES)
    assert get_args(Balance) == tuple(BALANCES)
    assert {recipe.aligner for recipe in RECIPES.values()} <= {*ALIGNERS}
