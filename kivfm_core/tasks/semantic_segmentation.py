"""Semantic segmentation: a class for every pixel. Torch-free."""

from kivfm_core.task import Saved, TaskRecord

SEMANTIC_SEGMENTATION = TaskRecord(
    name="semantic-segmentation",
    short="sem",
    summary="The class of every pixel of an image.",
    prediction="kivfm_core.predictions:SemanticLogits",
    formats=("masks", "coco", "voc", "yolo", "hf-masks", "hf-objects"),
    masks=True,
    classes="teacher",
    metric="mIoU",
    meter="kivfm_core.tasks.meters.semantic_segmentation:SemanticSegmentation",
    kind="classes",
    draw="kivfm_core.prediction.results:draw_class_map",
    saved=Saved(part="map", build="kivfm_core.prediction.labels:save_map"),
    check="kivfm_core.tasks.checks:check_logits",
    export="kivfm_core.exports.outputs:logits",
    hub="image-segmentation",
)
