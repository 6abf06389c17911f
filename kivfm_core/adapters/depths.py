"""The base's maps at several depths, as they are: nothing is trained."""

from __future__ import annotations

from torch import Tensor, nn

from kivfm_core.adapters.adapter import Adapter, RunBase
from kivfm_core.adapters.depths_plan import DepthsPlan
from kivfm_core.layers.resize import resize
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.spec import Level


class DepthsAdapter(Adapter):
    """Offers the base's maps unchanged, resized to the grids of the student's canvas."""

    def __init__(self, plan: DepthsPlan, trunk: nn.Module | None = None) -> None:
        super().__init__(plan)
        self.offers = [Level(kind="dense", **offered.model_dump()) for offered in plan.maps]

    def adapt(self, canvas: Tensor, trunk: TrunkOutput, run_base: RunBase) -> dict[str, Tensor]:
        """The maps, by name."""
        size = (canvas.shape[-2], canvas.shape[-1])
        pairs = zip(self.offers, trunk.attachments, strict=True)
        return {offered.name: resize(read, offered.grid(size)) for offered, read in pairs}
