"""What kivfm-nano offers. Imports no torch."""

from pathlib import Path
from typing import Any

from kivfm_core.hooks import hookimpl
from kivfm_core.scenes import CATEGORIES
from kivfm_core.spec import Attachment, InputContract, Level, TaskSpec, TeacherSpec, Weights

_IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_CLIP: dict[str, Any] = {
    "mean": (0.4815, 0.4578, 0.4082),
    "std": (0.2686, 0.2613, 0.2758),
}
_SAM: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

# The hashes of the weights, which `kivfm teachers check` compares; training prints those of new
# files.
_SHA256 = {
    "clip": "e1c4a3d33b80b762107af5a71f9fb1b1342ff3381dc66a9e70e1843854047d9b",
    "detector": "dd4bb344c73e59c534e03bda059bf413ebd0e6c8d5f35b101f0ddd23a7590978",
    "dino": "be9e834761a7184209655994ae10a29aadd72f4a30a1e66710ddc323dbd0970d",
    "sam": "03a3c9f92ee1403a229311dc597d5255998d72cf4ac7847e836d399a3523949c",
    "segmenter": "869ba63cf81d082ccc647b5e49ca094cd6f6fc82d780f2466cba7c6fa1bf0411",
}
_GOLDEN = {
    "clip": {"global": (0.0, 0.2979), "dense": (0.0, 0.8722)},
    "detector": {"p8": (0.0, 9.267), "p16": (0.0, 8.792)},
    "dino": {"global": (-0.0373, 0.5436), "dense": (0.004365, 0.6905)},
    "sam": {"dense": (0.0, 0.07048)},
    "segmenter": {"dense": (0.0, 2.854)},
}


def _weights(family: str) -> Weights:
    file = Path(__file__).parent / "weights" / f"{family}.safetensors"
    return Weights(
        source=f"package:kivfm_nano/weights/{family}.safetensors",
        split="kivfm_nano.weights:split",
        sha256=_SHA256[family],
        bytes=file.stat().st_size if file.is_file() else None,
        license="Apache-2.0",
        commercial_use="yes",
        golden=_GOLDEN[family],
    )


def _spec(family: str, summary: str, **fields: Any) -> TeacherSpec:
    return TeacherSpec(
        name=f"{family}/nano",
        summary=summary,
        encoder=f"kivfm_nano.{family}:encoder",
        weights=_weights(family),
        code_license="Apache-2.0",
        **fields,
    )


def _dino() -> TeacherSpec:
    return _spec(
        "dino",
        "ViT trained without labels on all scenes; the base of the demo's student",
        role="general",
        levels=(
            Level(name="global", kind="global", channels=128),
            Level(name="dense", kind="dense", channels=128, stride=8),
        ),
        input=InputContract(
            policy="stretch", size=96, multiple=8, interpolation="bicubic",
            **_IMAGENET,
        ),
        attachments=tuple(
            Attachment(module=f"vit.blocks.{i}", channels=128, layout="NLC", stride=8,
                       prefix_tokens=1)
            for i in range(5)
        ),
        parameters=1_051_520,
    )  # fmt: skip


def _clip() -> TeacherSpec:
    return _spec(
        "clip",
        "image and text towers trained on captions, mostly of flat drawings",
        levels=(
            Level(name="global", kind="global", channels=96),
            Level(name="dense", kind="dense", channels=128, stride=16),
        ),
        input=InputContract(
            policy="short-side-crop", size=96, multiple=16, interpolation="bicubic", **_CLIP
        ),
        tasks=(
            TaskSpec(task="zero-shot", levels=("global",), decoder="kivfm_nano.clip:decoder",
                     part="text", labels="open"),
        ),
        parameters=616_532,
    )  # fmt: skip


def _sam() -> TeacherSpec:
    return _spec(
        "sam",
        "segments what is clicked on; trained mostly on night images",
        levels=(Level(name="dense", kind="dense", channels=64, stride=4),),
        input=InputContract(policy="letterbox", size=96, multiple=16, scale=255.0, **_SAM),
        tasks=(
            TaskSpec(task="promptable-segmentation", levels=("dense",),
                     decoder="kivfm_nano.sam:decoder"),
        ),
        parameters=578_352,
    )  # fmt: skip


def _detector() -> TeacherSpec:
    tasks = ("detection", "instance-segmentation")
    return _spec(
        "detector",
        "one-stage detector with box masks; trained mostly on paintings",
        levels=(
            Level(name="p8", kind="dense", channels=96, stride=8),
            Level(name="p16", kind="dense", channels=160, stride=16),
        ),
        input=InputContract(
            policy="short-side", size=112, max_size=160, multiple=16, channel_order="BGR",
            scale=255.0, mean=(103.53, 116.28, 123.675), train_sizes=(112,),
        ),
        tasks=tuple(
            TaskSpec(task=task, levels=("p8", "p16"), decoder="kivfm_nano.detector:decoder",
                     labels=CATEGORIES)
            for task in tasks
        ),
        parameters=628_464,
    )  # fmt: skip


def _segmenter() -> TeacherSpec:
    return _spec(
        "segmenter",
        "semantic segmentation; trained mostly on paper cutouts",
        levels=(Level(name="dense", kind="dense", channels=112, stride=8),),
        input=InputContract(
            policy="letterbox-center", size=96, multiple=16, pad_value=(0.5, 0.5, 0.5),
            mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
        ),
        tasks=(
            TaskSpec(task="semantic-segmentation", levels=("dense",),
                     decoder="kivfm_nano.segmenter:decoder", labels=("background", *CATEGORIES)),
        ),
        parameters=587_584,
    )  # fmt: skip


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """Give the five teachers."""
    return [_dino(), _clip(), _sam(), _detector(), _segmenter()]
