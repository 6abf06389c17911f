"""Depth: how far away every pixel is. Torch-free."""

from kivfm_core.task import TaskRecord

DEPTH = TaskRecord(
    name="depth",
    short="depth",
    summary="The depth of every pixel of an image.",
    prediction="kivfm_core.predictions:DepthMaps",
    formats=("depth",),
    metric="delta 1",
    meter="kivfm_core.tasks.meters.depth:Depth",
    kind="depths",
    draw="kivfm_core.prediction.depth:draw_depth",
    check="kivfm_core.tasks.checks:check_depth",
    export="kivfm_core.exports.outputs:depth",
    hub="depth-estimation",
)
