"""A recipe: how each kind of level is compared, and how teachers are balanced.

Torch-free. The names below are keys of tables of functions, one each; a test holds them together.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kivfm_core.spec import Record

# Maps from a teacher's level to what is compared: `TARGETS` in kivfm_core/aligners/targets.py.
Target = Literal["principal", "learned", "none", "direction", "channel", "scale", "phi-s"]
# Distances between student and teacher: `DISTANCES` in kivfm_core/objectives/losses.py.
Distance = Literal[
    "mse", "mse-cosine", "cosine", "angle", "cosine-smooth", "even-smooth", "flat-smooth"
]
# How teachers share the loss: `BALANCES` in kivfm_core/objectives/balancing.py.
Balance = Literal["fixed", "dropping"]
# Forms of the student's side of a latent aligner: kivfm_core/aligners/latent.py.
Projector = Literal["mlp", "convolution", "attention"]


class Match(Record):
    """How one kind of level is compared.

    Attributes:
        target: The teacher's side, a map of its level.
        distance: Between that and the student's side.
    """

    target: Target
    distance: Distance


class Recipe(Record):
    """What a student is trained to match.

    Attributes:
        source: Where it comes from, and how faithful this is.
        global_match: For global levels.
        dense_match: For dense levels.
        balance: How teachers share the loss: by fixed weights, or some are dropped in each image.
        aligner: Kind of the aligners, those of the base's own levels excepted:
            `kivfm_core/aligners/table.py`.
        projector: The student's side of an aligner: an MLP; before its activation, a dense level's
            can look at neighbors (a convolution), or every level's at the whole grid (attention).
        adapters: One that all teachers share, or one for each.
        readout: Weight of the decoder loss, the mean over a run: how differently the teachers'
            decoders decide on the student's levels. Its unit is the loss of an untrained student.
        readout_start: The share of that weight at a run's start, from which it changes evenly.
        shared: Coordinates of the space that all teachers share; 0 for none. They need aligners
            that know of them.
        agreement: Weight of the distance of the student's shared coordinates from those that the
            teachers agree on.
        hold: Weight of the terms that hold learned maps to the shared space from collapse.
        private: Hidden width of dense levels' aligners beside the shared head, as a share of what
            they would have alone.
        private_global: The same of global levels'.
    """

    source: str
    global_match: Match
    dense_match: Match
    balance: Balance = "fixed"
    aligner: str = "latent"
    projector: Projector = "mlp"
    adapters: Literal["one", "each"] = "one"
    readout: float = Field(default=0.0, ge=0)
    readout_start: float = Field(default=1.0, ge=0, le=2)
    shared: int = Field(default=0, ge=0)
    agreement: float = Field(default=0.0, ge=0)
    hold: float = Field(default=0.0, ge=0)
    private: float = Field(default=1.0, gt=0, le=1)
    private_global: float = Field(default=1.0, gt=0, le=1)

    def match(self, kind: Literal["global", "dense"]) -> Match:
        """How a level of this kind is compared."""
        return self.global_match if kind == "global" else self.dense_match

    def private_share(self, kind: Literal["global", "dense"]) -> float:
        """The share of its hidden width that an aligner of this kind of level has."""
        return self.private_global if kind == "global" else self.private
