"""The bare loop that ours is compared with computes the very loss of recipe `levels`."""

from __future__ import annotations

import torch

from benchmarks.engine import bare_levels
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.recipes.table import RECIPES


def test_the_bare_loop_has_our_loss():
    recipe = RECIPES["levels"]
    for match, shape, bare in (
        (recipe.global_match, (3, 8), bare_levels.angle),
        (recipe.dense_match, (3, 8, 4, 5), bare_levels.distance),
    ):
        said, meant = torch.randn(shape), torch.randn(shape)
        ours = DISTANCES[match.distance](said, meant).mean()
        torch.testing.assert_close(bare(said, meant), ours)
