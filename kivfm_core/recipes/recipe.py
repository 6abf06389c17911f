"""Recipes: what a student is asked for, by name. The one place where objectives are wired.

Rivals are given our student, our frozen base and our views, so that what differs is the objective:
how a teacher's levels are normalized, how they are compared, and how teachers are balanced. Where a
rival does more than that, its line says what was left out. Torch-free.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kivfm_core.spec import Record

Target = Literal["principal", "learned", "none", "direction", "channel", "scale", "phi-s"]
Distance = Literal[
    "mse", "mse-cosine", "cosine", "angle", "cosine-smooth", "even-smooth", "flat-smooth"
]


Projector = Literal["mlp", "convolution", "attention"]


class Match(Record):
    """How one kind of level is compared.

    Attributes:
        target: The teacher's side, a fixed map: `kivfm_core/aligners/targets.py`.
        distance: Between it and the student's: `kivfm_core/objectives/losses.py`.
    """

    target: Target
    distance: Distance


class Recipe(Record):
    """What a student is asked for.

    Attributes:
        source: Where it comes from, and how faithful this is.
        global_match: For global levels.
        dense_match: For dense levels.
        balance: How teachers share the loss: by their weights, or some dropped in every picture
            (`kivfm_core/objectives/balancing.py`).
        aligner: Kind of the aligners, those of the base's own levels excepted:
            `kivfm_core/aligners/table.py`.
        projector: The student's side of an aligner: an MLP; before its activation, a dense level's
            can look at neighbors (a convolution), or every level's at the whole grid (attention).
        adapters: One that all teachers share, or one for each.
        readout: Weight of what the teachers' decoders say of the student's levels, beside the
            levels' distance; the unit is what they get wrong of what an untrained student says. It
            is the mean over a run.
        readout_start: The share of that weight at a run's start, from which it changes evenly.
    """

    source: str
    global_match: Match
    dense_match: Match
    balance: Literal["fixed", "dropping"] = "fixed"
    aligner: str = "latent"
    projector: Projector = "mlp"
    adapters: Literal["one", "each"] = "one"
    readout: float = Field(default=0.0, ge=0)
    readout_start: float = Field(default=1.0, ge=0, le=2)

    def match(self, kind: Literal["global", "dense"]) -> Match:
        """How a level of this kind is compared."""
        return self.global_match if kind == "global" else self.dense_match


_SHARED = Match(target="principal", distance="mse-cosine")
_DIRECTION = Match(target="direction", distance="angle")
_RAW = Match(target="none", distance="mse")
_THEIA = Match(target="channel", distance="flat-smooth")
_UNIC = Match(target="channel", distance="even-smooth")
_DUNE = Match(target="scale", distance="even-smooth")

RECIPES = {
    "kpu": Recipe(
        source="KPU (arXiv 2508.14707): student and teachers meet in a shared latent. The paper's "
        "loss is not public; ours is squared error and cosine of standardized coordinates, angles "
        "of global levels (C-RADIOv4), and what the teachers' decoders say",
        global_match=_DIRECTION,
        dense_match=_SHARED,
        projector="convolution",
        readout=1.5,
        readout_start=1 / 3,
    ),
    "levels": Recipe(
        source="kpu without decoders",
        global_match=_DIRECTION,
        dense_match=_SHARED,
        projector="convolution",
    ),
    "mse": Recipe(
        source="no care at all: squared error of raw levels", global_match=_RAW, dense_match=_RAW
    ),
    "am-radio": Recipe(
        source="AM-RADIO (arXiv 2312.06709): loss and fixed weights as there",
        global_match=Match(target="none", distance="cosine"),
        dense_match=Match(target="none", distance="cosine-smooth"),
    ),
    "phi-s": Recipe(
        source="PHI-S (arXiv 2410.01680): any rotation to equal variances in place of Hadamard's",
        global_match=Match(target="none", distance="cosine"),
        dense_match=Match(target="phi-s", distance="mse"),
    ),
    "c-radio": Recipe(
        source="C-RADIOv4 (arXiv 2601.17237): PHI-S, and squared angles in units of the teacher's "
        "angular dispersion, here from mean and covariance",
        global_match=_DIRECTION,
        dense_match=Match(target="phi-s", distance="mse"),
    ),
    "theia": Recipe(
        source="Theia (arXiv 2407.20179): loss and normalization as there, translators ours",
        global_match=_THEIA,
        dense_match=_THEIA,
    ),
    "unic": Recipe(
        source="UNIC (arXiv 2408.05088): loss and teacher dropping as there; fitted statistics for "
        "running ones, aligners that read every map for its ladder",
        global_match=_UNIC,
        dense_match=_UNIC,
        balance="dropping",
    ),
    "dune": Recipe(
        source="DUNE (arXiv 2503.14405): as UNIC, but deviations only and a transformer block",
        global_match=_DUNE,
        dense_match=_DUNE,
        balance="dropping",
        projector="attention",
    ),
    "sak": Recipe(
        source="SAK (arXiv 2410.14633): its loss on raw levels, of one depth in place of four, and "
        "an adapter per teacher, ours in place of bottlenecks after every block; no routers",
        global_match=Match(target="none", distance="cosine-smooth"),
        dense_match=Match(target="none", distance="cosine-smooth"),
        adapters="each",
    ),
    "eupe": Recipe(
        source="EUPE (arXiv 2603.22387): its loss and normalization in one stage, without its "
        "proxy teacher",
        global_match=Match(target="channel", distance="cosine"),
        dense_match=Match(target="channel", distance="cosine-smooth"),
    ),
}
