"""Instance segmentation: boxes around objects, and their masks. Torch-free."""

from kivfm_core.task import Saved, TaskRecord

INSTANCE_SEGMENTATION = TaskRecord(
    name="instance-segmentation",
    short="inst",
    summary="Boxes and masks of the objects of an image.",
    prediction="kivfm_core.predictions:Instances",
    formats=("coco", "voc", "yolo", "hf-objects"),
    masks=True,
    classes="teacher",
    metric="mask AP",
    meter="kivfm_core.tasks.meters.instance_segmentation:InstanceSegmentation",
    kind="objects",
    draw="kivfm_core.prediction.results:draw_objects",
    saved=Saved(part="masks", build="kivfm_core.prediction.labels:save_objects"),
    check="kivfm_core.tasks.checks:check_objects",
    export="kivfm_core.exports.outputs:instances",
    hub="image-segmentation",
)
