"""timm's models as teacher specs. Torch-free: the families describe theirs with it, too."""

from __future__ import annotations

from typing import Any

from kivfm_core.spec import Attachment, InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_teachers.licenses import weights_license


def describe(
    name: str,
    model: str,
    *,
    levels: tuple[Level, ...],
    input: InputContract,
    parameters: int,
    kwargs: dict[str, Any] | None = None,
    norm: bool = True,
    classifier: str = "head",
    classes: int = 0,
    license: str | None = "apache-2.0",
    weights: dict[str, Any] | None = None,
    **fields: Any,
) -> TeacherSpec:
    """The spec of a timm model.

    Args:
        name: The teacher's name.
        model: timm's name with tag.
        levels: What the encoder returns.
        input: How an image becomes its canvas.
        parameters: Of the encoder.
        kwargs: For `timm.create_model`.
        norm: Whether the dense level is taken after the model's final normalization.
        classifier: Path of the classifier in the checkpoint.
        classes: Of the classifier; 1000 makes it a task.
        license: Of the weights, as the hub writes it.
        weights: Fields of `Weights` that differ from timm's hub file.
        fields: Further fields of the spec.
    """
    config = {"model": model, "kwargs": kwargs or {}, "norm": norm, "classifier": classifier}
    tasks: tuple[TaskSpec, ...] = ()
    if classes == 1000:
        config["classes"] = classes
        tasks = (
            TaskSpec(
                task="classification",
                levels=("global",),
                decoder="kivfm_teachers.classifier.model:linear",
                part="head",
                labels="imagenet-1k",
            ),
        )
    source = {
        "source": f"hf:timm/{model}/model.safetensors",
        "split": "kivfm_teachers.timm.model:split",
        **weights_license(license),
        **(weights or {}),
    }
    config.update(fields.pop("config", {}))
    return TeacherSpec(
        name=name,
        encoder="kivfm_teachers.timm.model:TimmEncoder",
        config=config,
        levels=levels,
        input=input,
        tasks=fields.pop("tasks", tasks),
        weights=Weights(**source),
        code_license="Apache-2.0",
        parameters=parameters,
        **fields,
    )


def describe_vit(
    name: str,
    model: str,
    channels: int,
    depth: int,
    input: InputContract,
    *,
    prefix_tokens: int = 5,
    **fields: Any,
) -> TeacherSpec:
    """The spec of a general vision transformer.

    Args:
        name: The teacher's name.
        model: timm's name with tag.
        channels: Of both levels.
        depth: Blocks, each an attachment point.
        input: How an image becomes its canvas; sides are multiples of the patch.
        prefix_tokens: Before the grid; by default a class token and four registers.
        fields: Further arguments of `describe`, `parameters` among them.
    """
    return _describe_general(
        name,
        model,
        channels,
        input.multiple,
        input=input,
        kwargs={"dynamic_img_size": True},
        attachments=vit_attachments(depth, channels, input.multiple, prefix_tokens),
        **fields,
    )


def describe_convnext(
    name: str, model: str, width: int, input: InputContract, **fields: Any
) -> TeacherSpec:
    """The spec of a general ConvNeXt.

    Args:
        name: The teacher's name.
        model: timm's name with tag.
        width: Channels of the first of its four stages, each an attachment point.
        input: How an image becomes its canvas.
        fields: Further arguments of `describe`, `parameters` among them.
    """
    stages = tuple(
        Attachment(
            module=f"model.stages.{index}",
            channels=width * 2**index,
            layout="NCHW",
            stride=4 * 2**index,
        )
        for index in range(4)
    )
    return _describe_general(
        name,
        model,
        stages[-1].channels,
        stages[-1].stride,
        input=input,
        classifier="head.fc",
        attachments=stages,
        **fields,
    )


def _describe_general(
    name: str, model: str, channels: int, stride: int, **fields: Any
) -> TeacherSpec:
    """The spec of a general network whose two levels have equal channels."""
    return describe(
        name,
        model,
        levels=(
            Level(name="global", kind="global", channels=channels),
            Level(name="dense", kind="dense", channels=channels, stride=stride),
        ),
        # float32 values; the header of some kilobytes aside
        weights={"bytes": 4 * fields["parameters"]},
        role="general",
        **fields,
    )


def vit_attachments(
    depth: int, channels: int, stride: int, prefix_tokens: int
) -> tuple[Attachment, ...]:
    """The blocks of a plain vision transformer, shallow to deep."""
    return tuple(
        Attachment(
            module=f"model.blocks.{index}",
            channels=channels,
            layout="NLC",
            stride=stride,
            prefix_tokens=prefix_tokens,
        )
        for index in range(depth)
    )
