"""Promptable segmentation: the mask of what clicks and a box point at. Torch-free."""

from kivfm_core.task import Prompt, Saved, TaskRecord

PROMPTABLE_SEGMENTATION = TaskRecord(
    name="promptable-segmentation",
    short="prompt",
    summary="The mask of the object that you click on.",
    prediction="kivfm_core.predictions:Masks",
    formats=("coco", "voc", "yolo", "hf-objects"),
    masks=True,
    prompt=Prompt(flags=("prompts",), build="kivfm_core.tasks.prompts:mask_prompts"),
    metric="one-click mIoU",
    meter="kivfm_core.tasks.meters.promptable_segmentation:PromptableSegmentation",
    kind="masks",
    draw="kivfm_core.prediction.results:draw_masks",
    export="kivfm_core.exports.outputs:masks",
    export_prompt="kivfm_core.exports.prompts:clicks",
    hub="mask-generation",
    saved=Saved(part="masks", build="kivfm_core.prediction.labels:save_masks"),
)
