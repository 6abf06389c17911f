"""How the numbers of a view's answers are kept, and what that takes. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

Layout = Mapping[str, tuple[int, ...]]
"""Shapes of an answer's tensors by name, in order: `(C,)` or `(C, h, w)`."""

FITTED_ON = 256
"""Pictures on which maps into fewer coordinates are fitted; fewer, where there are not so many."""


@dataclass(frozen=True)
class Encoding:
    """How an owner's answers are kept.

    Attributes:
        dtype: `bfloat16`; `int8`, where each channel of a dense level has a scale of its own in
            every record, and global levels stay bfloat16; `uint8` for whole numbers up to 255.
        latent: Coordinates of the levels that are kept in fewer than they have channels.
    """

    dtype: Literal["bfloat16", "int8", "uint8"] = "bfloat16"
    latent: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Encoding:
        """The encoding that a store's facts name."""
        return cls(facts.get("dtype", "bfloat16"), facts.get("latent", {}))

    @property
    def facts(self) -> dict[str, Any]:
        """All that records depend on of it; JSON."""
        more = {"latent": dict(self.latent), "fitted_on": FITTED_ON} if self.latent else {}
        return {"dtype": self.dtype, **more}

    def kept(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which a tensor is kept."""
        return self.latent.get(name, shape[0]), *shape[1:]

    def bytes(self, name: str, shape: tuple[int, ...]) -> int:
        """What a tensor takes in a record; even, so that all parts of a record are aligned."""
        kept = self.kept(name, shape)
        if self.dtype == "uint8":
            size = prod(kept)
        elif self.dtype == "int8" and len(kept) > 1:
            size = 2 * kept[0] + prod(kept)
        else:
            size = 2 * prod(kept)
        return size + size % 2
