"""The architectures that are supported, by the name that a `config.json` gives them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kivfm_core.spec import Task


@dataclass(frozen=True)
class Family:
    """How one of transformers' architectures becomes a teacher.

    Attributes:
        module: Name of the module of this package that has the class `Encoder` and the decoders.
        trunk: Paths of the modules that are the encoder; all others are the decoder.
        decoders: The decoder's class, by task.
        labels: Where the label space comes from: the configuration, the prompt, or none.
        canvas: What canvas sides are a multiple of: `own`, the one size that the model was made
            for; `patch`, its patch size; `any`, one pixel.
        rounding: How its maps' sides follow from the canvas, as in `Level`.
        blocks: Path of the list of modules that are its attachments; empty if it cannot be a base.
        original: Class of the whole model, for the conformance kit.
    """

    module: str
    trunk: tuple[str, ...]
    decoders: tuple[tuple[Task, str], ...] = ()
    labels: Literal["config", "open", "none"] = "none"
    canvas: Literal["own", "patch", "any"] = "any"
    rounding: Literal["ceil", "floor"] = "floor"
    blocks: str = ""
    original: str = ""


def _pair(trunk: tuple[str, ...]) -> Family:
    return Family(
        "pair",
        trunk,
        decoders=(("zero-shot", "TextTower"),),
        labels="open",
        canvas="own",
        blocks="vision_model.encoder.layers",
    )


def _dino(trunk: tuple[str, ...], blocks: str) -> Family:
    return Family("dino", trunk, canvas="patch", blocks=blocks)


def _sam(module: str) -> Family:
    return Family(
        module,
        ("vision_encoder",),
        decoders=(("promptable-segmentation", "MaskDecoder"),),
        canvas="own",
    )


def _from_maps(module: str, trunk: str, *decoders: tuple[Task, str]) -> Family:
    return Family(module, (trunk,), decoders=decoders, labels="config", rounding="ceil")


def _depth(module: str, *trunk: str) -> Family:
    return Family(
        module,
        trunk,
        decoders=(("depth", "DepthEstimator"),),
        canvas="patch",
        original="Original",
    )


_DINO2 = _dino(("embeddings", "encoder", "layernorm"), "encoder.layer")
_DINO3 = _dino(("embeddings", "rope_embeddings", "model", "norm"), "model.layer")

FAMILIES: dict[str, Family] = {
    "CLIPModel": _pair(("vision_model", "visual_projection")),
    "SiglipModel": _pair(("vision_model",)),
    "Dinov2Model": _DINO2,
    "Dinov2WithRegistersModel": _DINO2,
    "DINOv3ViTModel": _DINO3,
    "SamModel": _sam("sam"),
    "Sam2Model": _sam("sam2"),
    "DetrForObjectDetection": _from_maps("detr", "model.backbone", ("detection", "Detector")),
    "RTDetrForObjectDetection": _from_maps("rt_detr", "model.backbone", ("detection", "Detector")),
    "SegformerForSemanticSegmentation": _from_maps(
        "segformer", "segformer", ("semantic-segmentation", "Segmenter")
    ),
    "Mask2FormerForUniversalSegmentation": _from_maps(
        "mask2former",
        "model.pixel_level_module.encoder",
        ("instance-segmentation", "InstanceSegmenter"),
        ("semantic-segmentation", "SemanticSegmenter"),
    ),
    "DepthAnythingForDepthEstimation": _depth("depth_anything", "backbone"),
    # One of the first two is there; the third joins each layer's class token to its others.
    "DPTForDepthEstimation": _depth(
        "dpt", "dpt", "backbone", "neck.reassemble_stage.readout_projects"
    ),
}
# The hub's SAM 2 repositories name the video model; the image model is a part of it.
SAME = {"Sam2VideoModel": "Sam2Model"}


def architecture(config: dict[str, Any]) -> str:
    """The name of a configuration's architecture, as a key of `FAMILIES`."""
    name = next(iter(config.get("architectures") or ()), "none")
    return SAME.get(name, name)
