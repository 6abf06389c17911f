"""Promptable segmentation: the mask of what a click points at. Torch-free."""

from kivfm_core.task import Prompt, Saved, TaskRecord

PROMPTABLE_SEGMENTATION = TaskRecord(
    name="promptable-segmentation",
    short="prompt",
    summary="The mask of the object that you click on.",
    prediction="kivfm_core.predictions:Masks",
    formats=("coco",),
    masks=True,
    prompt=Prompt(flags=("points",), build="kivfm_core.tasks.prompts:clicks"),
    metric="one-click mIoU",
    meter="kivfm_core.tasks.meters.promptable_segmentation:PromptableSegmentation",
    kind="masks",
    draw="kivfm_core.prediction.results:draw_masks",
    saved=Saved(part="masks", build="kivfm_core.prediction.labels:save_masks"),
)
