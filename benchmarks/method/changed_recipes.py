"""Our recipe with one part changed each; only the suites' workers know them (`workers.py`)."""

from __future__ import annotations

from kivfm_core.recipes.recipe import RECIPES, Match

CHANGES = {
    "no shared latent": {"dense_match": Match(target="none", distance="mse-cosine")},
    "no convolution": {"projector": "mlp"},
    "a constant weight of decoders": {"readout_start": 1.0},
}

CHANGED_RECIPES = {
    f"kpu, {name}": RECIPES["kpu"].model_copy(update=change) for name, change in CHANGES.items()
}
