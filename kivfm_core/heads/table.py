"""The kinds of heads by name: one line each. Torch-free; a kind names its module by reference.

A new kind is a file with a subclass of `Head`, and a line here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kivfm_core.spec import REFERENCE, TASK, Record

# Heads are named `head/NAME` among a student's teachers.
PREFIX = "head/"

# What the spec of a head names in place of an encoder and of its weights: it has none of its own.
ENCODER = "kivfm_core.heads.head:no_encoder"
SPLIT = "kivfm_core.heads.head:no_weights"


class HeadKind(Record):
    """A kind of head.

    Attributes:
        name: As in `--kind NAME`.
        task: What it solves.
        reads: The student's features that are its levels: `x` and V, or all `dense` maps.
        decoder: Reference to `(spec) -> Head`.
        target: Reference to `(data, index, frame, classes) -> Target`: the labels of an image on
            its canvas.
        target_bytes: What an image's labels take for each pixel of its canvas, by estimate.
        lr: Learning rate that suits it.
        summary: One line for help and documents.
    """

    name: str = Field(pattern=TASK)
    task: str = Field(pattern=TASK)
    reads: Literal["global", "dense"]
    decoder: str = Field(pattern=REFERENCE)
    target: str = Field(pattern=REFERENCE)
    target_bytes: int = 8
    lr: float = 3e-3
    summary: str


HEADS: dict[str, HeadKind] = {
    kind.name: kind
    for kind in (
        HeadKind(
            name="linear",
            task="classification",
            reads="global",
            decoder="kivfm_core.heads.linear:LinearHead",
            target="kivfm_core.heads.targets:class_target",
            summary="A linear layer on x, and on V averaged.",
        ),
        HeadKind(
            name="dense-linear",
            task="semantic-segmentation",
            reads="dense",
            decoder="kivfm_core.heads.dense_linear:DenseLinearHead",
            target="kivfm_core.heads.targets:map_target",
            summary="A 1 x 1 convolution on all maps.",
        ),
        HeadKind(
            name="fpn",
            task="semantic-segmentation",
            reads="dense",
            decoder="kivfm_core.heads.fpn:FpnHead",
            target="kivfm_core.heads.targets:map_target",
            summary="A light feature pyramid of all maps.",
        ),
        HeadKind(
            name="fcos",
            task="detection",
            reads="dense",
            decoder="kivfm_core.heads.fcos:FcosHead",
            target="kivfm_core.heads.targets:box_target",
            target_bytes=1,
            lr=1e-3,
            summary="FCOS, torchvision's, on a feature pyramid of all maps.",
        ),
        HeadKind(
            name="mask-rcnn",
            task="instance-segmentation",
            reads="dense",
            decoder="kivfm_core.heads.mask_rcnn:MaskRcnnHead",
            target="kivfm_core.heads.targets:mask_target",
            target_bytes=16,  # a byte a pixel for each of 16 objects
            lr=1e-3,
            summary="Mask R-CNN, torchvision's, on a feature pyramid of all maps.",
        ),
        HeadKind(
            name="depth",
            task="depth",
            reads="dense",
            decoder="kivfm_core.heads.depth:DepthHead",
            target="kivfm_core.heads.targets:depth_target",
            target_bytes=4,
            summary="Depth in meters, from a light feature pyramid of all maps.",
        ),
    )
}
