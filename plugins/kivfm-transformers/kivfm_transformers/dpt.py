"""DPT: depth from four layers of a vision transformer, its own or a DINOv2.

Paper: Ranftl et al., Vision Transformers for Dense Prediction, https://arxiv.org/abs/2103.13413.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from kivfm_core.predictions import DepthKind
from kivfm_core.spec import TeacherSpec
from kivfm_transformers import depth_anything
from kivfm_transformers.stages import as_levels


class Encoder(depth_anything.Encoder):
    """The backbone, and the neck's first step, which joins the class token to the others.

    That step is part of the encoder so that its levels are maps: a decoder then needs no token.
    """

    backbones = (None, "dinov2")

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        # The stage resizes the maps after that step; this is the decoder's.
        count = len(self.model.config.neck_hidden_sizes)
        stage = self.model.neck.reassemble_stage
        stage.layers = nn.ModuleList(nn.Identity() for _ in range(count))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives a map `[B, C, H / patch, W / patch]` a layer that the neck reads, first to last."""
        grid = (side // self.patch for side in x.shape[2:])
        return as_levels(self.model.neck.reassemble_stage(self.tokens(x), *grid))

    def tokens(self, x: Tensor) -> list[Tensor]:
        """The layers' tokens `[B, 1 + N, C]`, the class token first."""
        config = self.model.config
        if config.backbone_config is not None:
            return super().tokens(x)
        layers = self.model.dpt(x, output_hidden_states=True, return_dict=True).hidden_states[1:]
        return [layers[index] for index in sorted(config.backbone_out_indices)]


def predicts(config: Any) -> DepthKind:
    """What the model of a configuration predicts.

    DPT's configuration has no field for it. The published models with DINOv2 (Meta's, for NYU and
    KITTI) predict meters, those without (Intel's) relative depth, as MiDaS does. Where a
    configuration has Depth Anything's field for it, `depth_estimation_type`, that one counts.
    """
    usual = "relative" if config.backbone_config is None else "metric"
    return getattr(config, "depth_estimation_type", usual)


class DepthEstimator(depth_anything.DepthEstimator):
    """The rest of the neck, and the head."""

    kind_of = staticmethod(predicts)

    def depth(self, levels: Mapping[str, Tensor]) -> Tensor:
        """`[B, h, w]` from the maps, by the original's own neck and head."""
        return self.model.head(self.fused(levels))


class Original(depth_anything.Original):
    """The whole model, as the conformance kit compares with it."""

    kind_of = staticmethod(predicts)
