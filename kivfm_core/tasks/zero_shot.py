"""Zero-shot classification: classes that the prompt names. Torch-free."""

from kivfm_core.task import Prompt, Saved, TaskRecord

ZERO_SHOT = TaskRecord(
    name="zero-shot",
    short="zero-shot",
    summary="Which of the classes that you name an image shows.",
    prediction="kivfm_core.predictions:ClassLogits",
    formats=("labels", "folder", "csv", "jsonl", "webdataset", "hf-classes"),
    classes="prompt",
    prompt=Prompt(flags=("labels",), build="kivfm_core.tasks.prompts:class_names"),
    metric="top-1",
    meter="kivfm_core.tasks.meters.zero_shot:ZeroShot",
    kind="classes",
    draw="kivfm_core.prediction.results:draw_classes",
    saved=Saved(part="class", build="kivfm_core.prediction.labels:save_class"),
    check="kivfm_core.tasks.checks:check_logits",
    export="kivfm_core.exports.outputs:logits",
    hub="zero-shot-image-classification",
)
