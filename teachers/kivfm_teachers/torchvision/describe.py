"""torchvision's models as teacher specs. Torch-free: `detector` and `segmenter` use it, too."""

from __future__ import annotations

from typing import Any, Literal

from kivfm_core.spec import InputContract, Level, Task, TaskSpec, TeacherSpec, Weights

HERE = "kivfm_teachers.torchvision"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Labels = Literal["imagenet-1k", "coco-91", "voc-21", "none"]


def detector(
    name: str,
    model: str,
    *,
    keys: dict[str, str],
    pool: bool,
    masks: bool,
    frozen_norm_eps: float | None = None,
    **fields: Any,
) -> TeacherSpec:
    """The spec of a detector.

    Args:
        name: The teacher's name.
        model: torchvision's name.
        keys: The backbone's own names of the levels, by level name, fine to coarse.
        pool: Whether its proposals have one more map on top of the levels.
        masks: Whether it gives instance masks, too.
        frozen_norm_eps: Of the backbone's frozen batch norms, if torchvision freezes them.
        fields: See `_describe`.
    """
    tasks: tuple[Task, ...] = ("detection", "instance-segmentation") if masks else ("detection",)
    config: dict[str, Any] = {"keys": keys, "pool": pool}
    if frozen_norm_eps is not None:
        config["frozen_norm_eps"] = frozen_norm_eps
    return _describe(
        name,
        model,
        encoder=f"{HERE}.model:Backbone",
        split=f"{HERE}.model:split",
        config=config,
        tasks=_tasks(tasks, tuple(keys), f"{HERE}.detection.model:Detector", "coco-91"),
        **fields,
    )


def segmenter(name: str, model: str, *, keys: dict[str, str], **fields: Any) -> TeacherSpec:
    """The spec of a semantic segmentation model; see `detector`."""
    decoder = f"{HERE}.segmentation.model:Segmenter"
    return _describe(
        name,
        model,
        encoder=f"{HERE}.model:Backbone",
        split=f"{HERE}.model:split",
        config={"keys": keys},
        tasks=_tasks(("semantic-segmentation",), tuple(keys), decoder, "voc-21"),
        **fields,
    )


def classifier(
    name: str, model: str, *, nodes: dict[str, str], head: str, linear: bool, **fields: Any
) -> TeacherSpec:
    """The spec of a classifier.

    Args:
        name: The teacher's name.
        model: torchvision's name.
        nodes: Level names, by node of the model's graph.
        head: Path of the head in the model.
        linear: Whether the head is a linear layer on `global`, else it is on `dense`.
        fields: See `_describe`.
    """
    decoder = (
        "kivfm_teachers.classifier.model:linear"
        if linear
        else f"{HERE}.classification.model:ConvClassifier"
    )
    reads = "global" if linear else "dense"
    return _describe(
        name,
        model,
        encoder=f"{HERE}.classification.model:Trunk",
        split=f"{HERE}.classification.model:split",
        config={
            "nodes": nodes,
            "classifier": head,
            "classes": 1000,
            "head_prefix": "" if linear else "head.",
        },
        tasks=_tasks(("classification",), (reads,), decoder, "imagenet-1k", part="head"),
        **fields,
    )


def _tasks(
    tasks: tuple[Task, ...],
    levels: tuple[str, ...],
    decoder: str,
    labels: Labels,
    part: str = "decoder",
) -> tuple[TaskSpec, ...]:
    return tuple(
        TaskSpec(task=task, levels=levels, decoder=decoder, labels=labels, part=part)
        for task in tasks
    )


def _describe(
    name: str,
    model: str,
    *,
    split: str,
    config: dict[str, Any],
    levels: tuple[Level, ...],
    input: InputContract,
    url: str,
    mebibytes: float | None = None,
    **fields: Any,
) -> TeacherSpec:
    """What all torchvision specs share.

    Args:
        name: The teacher's name.
        model: torchvision's name.
        split: How its checkpoint is parted.
        config: What the builders need to know.
        levels: What the encoder returns.
        input: How an image becomes its canvas.
        url: Of the checkpoint.
        mebibytes: Size of the checkpoint, as torchvision states it.
        fields: Further fields of the spec.
    """
    return TeacherSpec(
        name=name,
        config={"model": model, "url": url, **config},
        levels=levels,
        input=input,
        weights=Weights(
            source=f"torch:{url.rsplit('/', 1)[1]}",
            split=split,
            fetch="kivfm_teachers.fetch:from_url",
            bytes=None if mebibytes is None else round(mebibytes * 2**20),
            # torchvision's license; it warns that a data set's terms may come on top.
            license="BSD-3-Clause",
            commercial_use="unknown",
        ),
        code_license="BSD-3-Clause",
        **fields,
    )
