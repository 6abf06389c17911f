"""open_clip's models as teacher specs. Torch-free: `clip` describes its own with it, too."""

from __future__ import annotations

from typing import Any

from kivfm_core.spec import Attachment, InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_teachers.licenses import weights_license

POLICIES = {"shortest": "short-side-crop", "squash": "stretch", "longest": "letterbox-center"}
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
FILE = "open_clip_model.safetensors"


def describe(
    name: str,
    model: str,
    *,
    hub: str,
    image_size: int,
    stride: int,
    embedding: int,
    width: int,
    parameters: int,
    depth: int = 0,
    quick_gelu: bool = False,
    resize_mode: str = "shortest",
    interpolation: str = "bicubic",
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
    license: str | None = "mit",
    tokenizer: str | None = None,
    weights: dict[str, Any] | None = None,
    **fields: Any,
) -> TeacherSpec:
    """The spec of an open_clip model.

    Args:
        name: The teacher's name.
        model: open_clip's name of the architecture.
        hub: `ORG/NAME` of its checkpoint on the hub.
        image_size: Side of its canvas; its position embeddings fit no other.
        stride: Canvas pixels a token.
        embedding: Channels of the joint embedding.
        width: Channels of the tokens.
        parameters: Of the visual tower.
        depth: Blocks of a plain vision transformer, where an adapter can hook in.
        quick_gelu: Whether the weights were trained with it.
        resize_mode: open_clip's word for the input policy.
        interpolation: Resampling filter.
        mean: Of the input.
        std: Of the input.
        license: Of the weights, as the hub writes it.
        tokenizer: `ORG/NAME` on the hub, if it is not open_clip's own; transformers reads it.
        weights: Fields of `Weights` that differ.
        fields: Further fields of the spec.
    """
    contract = {
        "policy": POLICIES[resize_mode],
        "size": image_size,
        "multiple": image_size,
        "interpolation": interpolation,
        "mean": mean,
        "std": std,
    }
    block = {"channels": width, "layout": "NLC", "stride": stride, "prefix_tokens": 1}
    return TeacherSpec(
        name=name,
        encoder="kivfm_teachers.open_clip.model:VisualTower",
        config={"model": model, "quick_gelu": quick_gelu},
        levels=(
            Level(name="global", kind="global", channels=embedding),
            Level(name="dense", kind="dense", channels=width, stride=stride),
        ),
        input=InputContract.model_validate(contract),
        tasks=(
            TaskSpec(
                task="zero-shot",
                levels=("global",),
                decoder="kivfm_teachers.open_clip.model:TextTower",
                part="text",
                labels="open",
                tokenizer=f"hf:{tokenizer}" if tokenizer else None,
            ),
        ),
        attachments=tuple(
            Attachment.model_validate({"module": f"visual.transformer.resblocks.{i}", **block})
            for i in range(depth)
        ),
        weights=Weights.model_validate(
            {
                "source": f"hf:{hub}/{FILE}",
                "split": "kivfm_teachers.open_clip.model:split",
                **weights_license(license),
                **(weights or {}),
            }
        ),
        code_license="MIT",
        requirements=("transformers",) if tokenizer else (),
        parameters=parameters,
        **fields,
    )
