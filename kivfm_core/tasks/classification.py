"""Classification: a teacher's own classes. Torch-free."""

from kivfm_core.task import Saved, TaskRecord

CLASSIFICATION = TaskRecord(
    name="classification",
    short="class",
    summary="Which of the teacher's classes an image shows.",
    prediction="kivfm_core.predictions:ClassLogits",
    formats=("labels", "folder", "csv", "jsonl", "webdataset", "hf-classes"),
    classes="teacher",
    metric="top-1",
    meter="kivfm_core.tasks.meters.classification:Classification",
    kind="classes",
    draw="kivfm_core.prediction.results:draw_classes",
    saved=Saved(part="class", build="kivfm_core.prediction.labels:save_class"),
    check="kivfm_core.tasks.checks:check_logits",
    export="kivfm_core.exports.outputs:logits",
    hub="image-classification",
)
