"""The recipes by name. Torch-free."""

from __future__ import annotations

from kivfm_core.recipes import kpu, rivals
from kivfm_core.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "kpu": kpu.KPU,
    "kpu-joint": kpu.KPU_JOINT,
    "kpu-joint-learned": kpu.KPU_JOINT_LEARNED,
    "levels": kpu.LEVELS,
    "mse": rivals.MSE,
    "am-radio": rivals.AM_RADIO,
    "phi-s": rivals.PHI_S,
    "c-radio": rivals.C_RADIO,
    "theia": rivals.THEIA,
    "unic": rivals.UNIC,
    "dune": rivals.DUNE,
    "sak": rivals.SAK,
    "eupe": rivals.EUPE,
}
