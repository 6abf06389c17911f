"""Depth: how far away every pixel is. Torch-free."""

from __future__ import annotations

from kivfm_core.task import LabelFormat, TaskRecord

DEPTH = TaskRecord(
    name="depth",
    short="depth",
    summary="The depth of every pixel of an image.",
    prediction="kivfm_transformers.depth.maps:DepthMaps",
    formats=(
        LabelFormat(
            name="depth",
            read="kivfm_transformers.depth.data:read_depth",
            needs="depth/NAME.png or depth/NAME.npy beside images/",
            example='{"scale": 0.001}, in depth/scale.json: meters a unit of the PNG files',
        ),
    ),
    metric="delta 1",
    meter="kivfm_transformers.depth.meter:Depth",
    kind="depths",
    draw="kivfm_transformers.depth.drawing:draw_depth",
    check="kivfm_transformers.depth.maps:check_depth",
    hub="depth-estimation",
)
