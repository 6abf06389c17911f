"""Depth Anything, versions 1 and 2: depth from four layers of a DINOv2.

Papers: Yang et al., Depth Anything, https://arxiv.org/abs/2401.10891; Depth Anything V2,
https://arxiv.org/abs/2406.09414.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from kivfm_core.errors import UsageError
from kivfm_core.predictions import DepthKind, DepthMaps
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import read_state
from kivfm_core.weights.locate import locate
from kivfm_transformers.model import decoder_half, encoder_half, loaded, random_state
from kivfm_transformers.stages import as_levels
from kivfm_transformers.tokens import as_map, patch_size


class Encoder(nn.Module):
    """The backbone."""

    # Backbones whose layers are a class token and a grid of tokens, which is all the neck reads.
    backbones: tuple[str | None, ...] = ("dinov2",)

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)
        config = self.model.config
        backbone = getattr(config.backbone_config, "model_type", None)
        if backbone not in self.backbones or getattr(config, "is_hybrid", False):
            raise UsageError(
                f"{spec.config['architecture']} with the backbone {backbone} cannot be a teacher",
                f"supported backbones: {', '.join(name or 'its own' for name in self.backbones)}",
            )
        self.patch = patch_size(config)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives a map `[B, C, H / patch, W / patch]` a layer that the neck reads, first to last."""
        return as_levels(as_map(tokens, x, self.patch) for tokens in self.tokens(x))

    def tokens(self, x: Tensor) -> list[Tensor]:
        """The layers' tokens `[B, 1 + N, C]`, the class token first."""
        return list(self.model.backbone(x, return_dict=True).feature_maps)


def predicts(config: Any) -> DepthKind:
    """What the model of a configuration predicts."""
    return config.depth_estimation_type


class DepthEstimator(nn.Module):
    """The neck and the head."""

    kind_of: Callable[[Any], DepthKind] = staticmethod(predicts)

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)
        self.kind = self.kind_of(self.model.config)

    def forward(self, levels: Levels, prompt: None = None) -> DepthMaps:
        """Gives `depth [B, h, w]` over the canvas from the maps."""
        return DepthMaps(self.depth(levels), self.kind)

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The depth of every place, free of what is unknown or arbitrary in it.

        Of metric depth the logarithm: a tenth is an error of ten percent. Of relative depth the
        distance from the image's median, in units of its mean absolute deviation: the loss of
        these is the affine-invariant loss that Depth Anything was trained with.
        """
        depth = self.depth(levels).float()
        if self.kind == "metric":
            values = depth.clamp(min=1e-3).log()
        else:
            values = normalized(depth)
        return [Readout(values[..., None], "number")]

    def depth(self, levels: Mapping[str, Tensor]) -> Tensor:
        """`[B, h, w]` from the maps, by the original's own neck and head."""
        grid = next(iter(levels.values())).shape[2:]
        return self.model.head(self.fused(levels), *grid)

    def fused(self, levels: Mapping[str, Tensor]) -> list[Tensor]:
        """The neck's maps, without its first step: its tokens are maps already."""
        neck = self.model.neck
        resized = [
            layer(value)
            for layer, value in zip(neck.reassemble_stage.layers, levels.values(), strict=True)
        ]
        return neck.fusion_stage([conv(x) for conv, x in zip(neck.convs, resized, strict=True)])


def normalized(depth: Tensor) -> Tensor:
    """Maps `[B, h, w]`, each with median 0 and mean absolute deviation 1."""
    values = depth.flatten(1)
    centered = values - values.median(1, keepdim=True).values
    scale = centered.abs().mean(1, keepdim=True)
    return (centered / scale.clamp(min=1e-6)).view_as(depth)


class Original(nn.Module):
    """The whole model, as the conformance kit compares with it.

    Its state is that of the weights file, whose keys transformers may rename when it loads them.
    """

    kind_of: Callable[[Any], DepthKind] = staticmethod(predicts)

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.spec = spec
        file = locate(spec.weights.source)
        here = file is not None and file.is_file()
        self.file_state = read_state(file) if here else random_state(spec)
        self.model: Any = None

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The state of the weights file; random numbers where it is not on this machine."""
        return self.file_state

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """Loads a state by transformers itself."""
        self.model = loaded(self.spec, state_dict)

    def forward(self, canvases: Tensor, prompts: Any = None) -> dict[str, DepthMaps]:
        """Gives `{"depth": DepthMaps}` of canvases `[B, 3, H, W]`, RGB in [0, 1]."""
        contract = self.spec.input
        mean, std = (canvases.new_tensor(x)[:, None, None] for x in (contract.mean, contract.std))
        out = self.model((canvases * contract.scale - mean) / std, return_dict=True)
        return {"depth": DepthMaps(out.predicted_depth, self.kind_of(self.model.config))}
