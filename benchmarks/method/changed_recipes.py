"""Our recipes with one part changed each; only the suites' workers know them (`workers.py`)."""

from __future__ import annotations

from typing import Any

from kivfm_core.recipes.recipe import Match
from kivfm_core.recipes.table import RECIPES

_CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "kpu": {
        "no shared latent": {"dense_match": Match(target="none", distance="mse-cosine")},
        "no convolution": {"projector": "mlp"},
        "a constant weight of decoders": {"readout_start": 1.0},
    },
    "kpu-joint": {
        "whole private heads of global levels": {"private_global": 1.0},
        "256 shared coordinates": {"shared": 256},
        "16 shared coordinates": {"shared": 16},
        "a shared head that nothing teaches agreement": {"agreement": 0.0},
        "a shared head without the fit": {"aligner": "joint-unfitted", "agreement": 0.0},
        "the fit without a shared head": {
            "aligner": "joint-alone",
            "agreement": 0.0,
            "private": 1.0,
            "private_global": 1.0,
        },
        "a shared head beside whole private ones": {"private": 1.0, "private_global": 1.0},
        "private heads of one hidden unit": {"private": 1e-9, "private_global": 1e-9},
    },
}

# The recipes that differ, by their own name and what is changed.
CHANGED_RECIPES = {
    f"{base}, {name}": RECIPES[base].model_copy(update=change)
    for base, changes in _CHANGES.items()
    for name, change in changes.items()
}


def changes_of(base: str) -> dict[str, str]:
    """What is changed in a recipe, as short as tables ask for; and the name of what comes of it."""
    return {name: f"{base}, {name}" for name in _CHANGES[base]}
