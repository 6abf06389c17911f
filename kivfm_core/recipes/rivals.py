"""Rivals' recipes, as their papers describe them.

They get our student, our frozen base and our views, so that only the objective differs: how a
teacher's levels are normalized, how they are compared, and how teachers are balanced. Where a rival
does more than that, its source says what was left out.
"""

from __future__ import annotations

from kivfm_core.recipes.recipe import Match, Recipe

_RAW = Match(target="none", distance="mse")
_THEIA = Match(target="channel", distance="flat-smooth")
_UNIC = Match(target="channel", distance="even-smooth")
_DUNE = Match(target="scale", distance="even-smooth")
_SAK = Match(target="none", distance="cosine-smooth")

MSE = Recipe(
    source="squared error of raw levels, without any normalization",
    global_match=_RAW,
    dense_match=_RAW,
)

AM_RADIO = Recipe(
    source="AM-RADIO (arXiv 2312.06709): loss and fixed weights as there",
    global_match=Match(target="none", distance="cosine"),
    dense_match=Match(target="none", distance="cosine-smooth"),
)

PHI_S = Recipe(
    source="PHI-S (arXiv 2410.01680): any rotation to equal variances in place of Hadamard's",
    global_match=Match(target="none", distance="cosine"),
    dense_match=Match(target="phi-s", distance="mse"),
)

C_RADIO = Recipe(
    source="C-RADIOv4 (arXiv 2601.17237): PHI-S, and squared angles in units of the teacher's "
    "angular dispersion, here from mean and covariance",
    global_match=Match(target="direction", distance="angle"),
    dense_match=Match(target="phi-s", distance="mse"),
)

THEIA = Recipe(
    source="Theia (arXiv 2407.20179): loss and normalization as there, translators ours",
    global_match=_THEIA,
    dense_match=_THEIA,
)

UNIC = Recipe(
    source="UNIC (arXiv 2408.05088): loss and teacher dropping as there; fitted statistics for "
    "running ones, aligners that read every map for its ladder",
    balance="dropping",
    global_match=_UNIC,
    dense_match=_UNIC,
)

DUNE = Recipe(
    source="DUNE (arXiv 2503.14405): as UNIC, but deviations only and a transformer block",
    balance="dropping",
    projector="attention",
    global_match=_DUNE,
    dense_match=_DUNE,
)

SAK = Recipe(
    source="SAK (arXiv 2410.14633): its loss on raw levels, of one depth in place of four, and "
    "an adapter per teacher, ours in place of bottlenecks after every block; no routers",
    adapters="each",
    global_match=_SAK,
    dense_match=_SAK,
)

EUPE = Recipe(
    source="EUPE (arXiv 2603.22387): its loss and normalization in one stage, without its "
    "proxy teacher",
    global_match=Match(target="channel", distance="cosine"),
    dense_match=Match(target="channel", distance="cosine-smooth"),
)
