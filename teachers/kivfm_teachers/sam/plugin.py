"""`sam`: the encoder of Segment Anything, and its masks from clicks.

Paper: Kirillov et al., Segment Anything, https://arxiv.org/abs/2304.02643.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec
from kivfm_teachers.timm.describe import describe

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The authors' own file has the encoder and the mask decoder; timm's has the encoder alone.
URL = "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The SAM teacher.

    Its mask decoder needs the extra `kivfm[sam]`; without it, it still encodes.
    """
    return [
        describe(
            "sam/vit-b",
            "samvit_base_patch16.sa1b",
            levels=(Level(name="dense", kind="dense", channels=256, stride=16),),
            # Padding is zero after normalization, so it has the mean's color before.
            input=InputContract(
                policy="letterbox",
                size=1024,
                train_sizes=(1024, 512),
                multiple=16,
                rounding="nearest",
                pad_value=MEAN,
                mean=MEAN,
                std=STD,
            ),
            parameters=89_670_912,
            weights={
                "source": f"torch:{URL.rsplit('/', 1)[1]}",
                "fetch": "kivfm_teachers.fetch:from_url",
                "split": "kivfm_teachers.sam.model:split",
                "bytes": 375_042_383,
            },
            # The authors' epsilon in the blocks' norms; timm has 1e-5 there.
            config={"url": URL, "norm_eps": 1e-6},
            tasks=(
                TaskSpec(
                    task="promptable-segmentation",
                    levels=("dense",),
                    decoder="kivfm_teachers.sam.model:decoder",
                    part="mask",
                ),
            ),
            aliases=("sam",),
            summary="Segment Anything, ViT-B/16",
            paper="https://arxiv.org/abs/2304.02643",
        )
    ]
