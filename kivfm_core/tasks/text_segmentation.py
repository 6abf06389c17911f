"""Text segmentation: the masks of the objects that the prompt names. Torch-free."""

from kivfm_core.task import Prompt, TaskRecord

TEXT_SEGMENTATION = TaskRecord(
    name="text-segmentation",
    short="text",
    summary="Boxes and masks of the things that you name.",
    prediction="kivfm_core.predictions:Instances",
    formats=("coco", "voc", "yolo"),
    masks=True,
    classes="prompt",
    prompt=Prompt(flags=("labels",), build="kivfm_core.tasks.prompts:class_names"),
    metric="mask AP",
    meter="kivfm_core.tasks.meters.text_segmentation:TextSegmentation",
    kind="objects",
    draw="kivfm_core.prediction.results:draw_objects",
    check="kivfm_core.tasks.checks:check_objects",
    hub="image-segmentation",
)
