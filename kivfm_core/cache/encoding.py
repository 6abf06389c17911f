"""How the outputs for a view are encoded, and how many bytes that takes. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

# Shapes of the tensors of an output for one view by name, in order: `(C,)` or `(C, h, w)`.
Layout = Mapping[str, tuple[int, ...]]

# Images on which maps into fewer coordinates are fitted, if there are that many.
FITTED_ON = 256


@dataclass(frozen=True)
class Encoding:
    """How the outputs of a source are encoded.

    Attributes:
        dtype: `bfloat16`; `int8`, where each channel of a dense level has a scale of its own in
            every record, and global levels stay bfloat16; `uint8` for whole numbers up to 255.
        latent: Number of coordinates by level, for levels stored in fewer than their channels.
    """

    dtype: Literal["bfloat16", "int8", "uint8"] = "bfloat16"
    latent: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Encoding:
        """The encoding in a store's facts."""
        return cls(facts.get("dtype", "bfloat16"), facts.get("latent", {}))

    @property
    def facts(self) -> dict[str, Any]:
        """What records depend on, as JSON."""
        more = {"latent": dict(self.latent), "fitted_on": FITTED_ON} if self.latent else {}
        return {"dtype": self.dtype, **more}

    def stored_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which a tensor is stored."""
        return self.latent.get(name, shape[0]), *shape[1:]

    def bytes(self, name: str, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor in a record; an even number, so that all parts are aligned."""
        stored = self.stored_shape(name, shape)
        if self.dtype == "uint8":
            size = prod(stored)
        elif self.dtype == "int8" and len(stored) > 1:
            size = 2 * stored[0] + prod(stored)  # a bfloat16 scale for each channel
        else:
            size = 2 * prod(stored)
        return size + size % 2
