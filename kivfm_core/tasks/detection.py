"""Detection: boxes around objects. Torch-free."""

from kivfm_core.task import Saved, TaskRecord

DETECTION = TaskRecord(
    name="detection",
    short="det",
    summary="Boxes around the objects of an image.",
    prediction="kivfm_core.predictions:Detections",
    formats=("coco", "voc", "yolo", "hf-objects"),
    classes="teacher",
    metric="box AP",
    meter="kivfm_core.tasks.meters.detection:Detection",
    kind="objects",
    draw="kivfm_core.prediction.results:draw_boxes",
    saved=Saved(part="boxes", build="kivfm_core.prediction.labels:save_boxes"),
    check="kivfm_core.tasks.checks:check_objects",
    export="kivfm_core.exports.outputs:boxes",
    hub="object-detection",
)
