"""What a student's trunk computes for a batch of canvases, before any adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torch import Tensor


class TrunkOutput(NamedTuple):
    """A trunk's output for a batch.

    A named tuple rather than a frozen dataclass: Fabric and PyTorch's wrappers for several
    processes look for tensors inside a module's inputs. They look into tuples, and refuse or pass
    over frozen dataclasses.

    Attributes:
        x: The global feature `[B, D]`.
        v: The dense map V `[B, D, h, w]`, on the grid of the student's canvas.
        attachments: Maps `[B, C, h', w']` that adapters read of the base, at attachment points and
            from its further levels, on the trunk's own grid, in the order of the plan's `reads`.
    """

    x: Tensor
    v: Tensor
    attachments: tuple[Tensor, ...] = ()

    @property
    def features(self) -> dict[str, Tensor]:
        """X and V by name, as aligners read them."""
        return {"x": self.x, "V": self.v}

    def level(self, kind: Literal["global", "dense"]) -> Tensor:
        """The base's own level of a kind: x or V."""
        return self.x if kind == "global" else self.v

    def rows(self, part: slice) -> TrunkOutput:
        """The output for a part of the batch."""
        maps = tuple(attachment[part] for attachment in self.attachments)
        return TrunkOutput(self.x[part], self.v[part], maps)

    def named(self) -> dict[str, Tensor]:
        """The tensors under the names that caches store, in the order of their records."""
        maps = {f"tap{i}": attachment for i, attachment in enumerate(self.attachments)}
        return {**self.features, **maps}

    @classmethod
    def from_named(cls, tensors: Mapping[str, Tensor]) -> TrunkOutput:
        """The output that `named` gave these names."""
        # Earlier versions sorted these names as text, in which `tap10` comes before `tap2`. No
        # student was trained in that order: `plan_side` picks at most four attachment points.
        maps = (tensors[f"tap{i}"] for i in range(len(tensors) - 2))
        return cls(tensors["x"], tensors["V"], tuple(maps))
