"""Open-vocabulary segmentation: where an image shows what the prompt names. Torch-free."""

from kivfm_core.task import Prompt, TaskRecord

OPEN_VOCABULARY = TaskRecord(
    name="open-vocabulary-segmentation",
    short="words",
    summary="Which pixels show the things that you name.",
    prediction="kivfm_core.predictions:SemanticLogits",
    formats=("masks", "coco", "voc", "yolo"),
    masks=True,
    classes="prompt",
    prompt=Prompt(flags=("labels",), build="kivfm_core.tasks.prompts:class_names"),
    metric="mIoU",
    meter="kivfm_core.tasks.meters.open_vocabulary:OpenVocabulary",
    kind="classes",
    draw="kivfm_core.prediction.results:draw_words",
    check="kivfm_core.tasks.checks:check_logits",
    export="kivfm_core.exports.outputs:logits",
    hub="image-segmentation",
)
