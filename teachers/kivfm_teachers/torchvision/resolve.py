"""From a torchvision name to a teacher spec: built on the meta device and looked at."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_teachers.names import unknown
from kivfm_teachers.probe import dense_level
from kivfm_teachers.torchvision import describe

# Where torchvision freezes batch norms when it loads weights, and the epsilon that it then sets.
FROZEN = {
    "fasterrcnn_resnet50_fpn": 0.0,
    "keypointrcnn_resnet50_fpn": 0.0,
    "maskrcnn_resnet50_fpn": 0.0,
    "retinanet_resnet50_fpn": 0.0,
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5,
    "fcos_resnet50_fpn": 1e-5,
}
# The first two transform their input once more; the last one's graph depends on the canvas.
SPECIAL = ("googlenet", "inception_v3", "maxvit_t")


def resolve(name: str) -> TeacherSpec:
    """The spec of `torchvision/<model>`, with torchvision's default weights.

    Raises:
        LookupError: If torchvision has no such image model.
    """
    from torchvision import models

    model = name.removeprefix("torchvision/")
    kinds = {
        _detector: models.list_models(module=models.detection),
        _segmenter: models.list_models(module=models.segmentation),
        _classifier: [m for m in models.list_models(module=models) if m not in SPECIAL],
    }
    for describe_kind, known in kinds.items():
        if model in known:
            weights = models.get_model_weights(model).DEFAULT
            common = {
                "url": weights.url,
                "mebibytes": weights.meta.get("_file_size"),
                "summary": f"torchvision {model}, {weights.name}",
            }
            return describe_kind(f"torchvision/{model}", model, weights, common)
    if model in SPECIAL:
        raise LookupError(f"torchvision's {model} cannot be cut into levels; timm has one that can")
    raise unknown(model, "torchvision", [m for known in kinds.values() for m in known])


def _meta(model: str, **kwargs: Any) -> Any:
    from kivfm_teachers.torchvision.skeleton import skeleton

    return skeleton(model, **kwargs)


def _shapes(module: Any, side: int) -> dict[str, tuple[int, ...]]:
    """Shapes of what a module returns by name for a canvas, on the meta device."""
    import torch

    with torch.no_grad():
        found = module(torch.empty(1, 3, side, side, device="meta"))
    return {key: tuple(value.shape) for key, value in found.items()}


def _levels(backbone: Any, keys: dict[str, str], side: int) -> tuple[Level, ...]:
    """The declared maps of a backbone, whose strides are powers of two."""
    shapes = cache(lambda n: _shapes(backbone, n))
    levels: list[Level] = []
    for name, key in keys.items():
        stride = _stride(shapes(side)[key], side)
        found = dense_level(name, lambda n, key=key: shapes(n)[key], side, stride)
        if found is None:
            raise LookupError(f"map {key!r} follows from no stride")
        levels.append(found[0])
    return tuple(levels)


def _stride(shape: tuple[int, ...], side: int) -> int:
    """The power of two; the map of a canvas that it does not divide is rounded up."""
    return 2 ** math.ceil(math.log2(side / shape[2]))


def _parameters(model: Any, frozen: bool) -> int:
    """Of a backbone; frozen batch norms have none."""
    from torch import nn

    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)] if frozen else []
    return sum(p.numel() for p in model.parameters()) - sum(2 * m.num_features for m in norms)


def _detector(name: str, model: str, weights: Any, common: dict[str, Any]) -> TeacherSpec:
    whole = _meta(model, weights_backbone=None)
    transform = whole.transform
    size, fixed = transform.min_size[-1], transform.fixed_size is not None
    side = size if fixed else 512
    shapes = _shapes(whole.backbone, side)
    pool = "pool" in shapes
    maps = [key for key in shapes if key != "pool"]
    names = [f"p{_stride(shapes[key], side).bit_length() - 1}" for key in maps]
    if len(set(names)) < len(names):  # two maps of one stride
        names = [f"map{key}" for key in maps]
    keys = dict(zip(names, maps, strict=True))
    mean, std = tuple(transform.image_mean), tuple(transform.image_std)
    frozen = FROZEN.get(model)
    return describe.detector(
        name,
        model,
        keys=keys,
        pool=pool,
        masks=hasattr(whole, "roi_heads") and whole.roi_heads.has_mask(),
        frozen_norm_eps=frozen,
        levels=_levels(whole.backbone, keys, side),
        input=InputContract(
            policy="stretch" if fixed else "short-side",
            size=size,
            max_size=None if fixed else transform.max_size,
            multiple=size if fixed else transform.size_divisible,
            antialias=False,
            pad_value=mean,  # zero after normalization
            mean=mean,
            std=std,
        ),
        parameters=_parameters(whole.backbone, frozen is not None),
        **common,
    )


def _segmenter(name: str, model: str, weights: Any, common: dict[str, Any]) -> TeacherSpec:
    backbone = _meta(model, weights_backbone=None).backbone
    keys = {key: key for key in _shapes(backbone, 512)}
    transform = weights.transforms()
    return describe.segmenter(
        name,
        model,
        keys=keys,
        levels=_levels(backbone, keys, 512),
        input=InputContract(
            policy="short-side",
            size=transform.resize_size[0],
            antialias=bool(transform.antialias),
            interpolation=transform.interpolation.value,
            mean=tuple(transform.mean),
            std=tuple(transform.std),
        ),
        parameters=_parameters(backbone, False),
        **common,
    )


def _classifier(name: str, model: str, weights: Any, common: dict[str, Any]) -> TeacherSpec:
    from torchvision.models.feature_extraction import create_feature_extractor

    whole = _meta(model)
    transform = weights.transforms()
    side = transform.crop_size[0]
    found, head = _cut(whole, side)
    trunk = create_feature_extractor(whole, return_nodes=found)
    levels: list[Level] = []
    multiple = side
    for level, shape in _shapes(trunk, side).items():
        if level == "global":
            levels.append(Level(name=level, kind="global", channels=shape[1]))
        elif dense := dense_level(
            level, lambda n: _shapes(trunk, n)["dense"], side, _stride(shape, side)
        ):
            levels.append(dense[0])
            multiple = dense[1]
    declared = {level.name for level in levels}
    return describe.classifier(
        name,
        model,
        nodes={node: level for node, level in found.items() if level in declared},
        head=head,
        linear="global" in declared,
        levels=tuple(levels),
        input=InputContract(
            policy="short-side-crop",
            size=side,
            resize=transform.resize_size[0],
            multiple=multiple,
            antialias=bool(transform.antialias),
            interpolation=transform.interpolation.value,
            mean=tuple(transform.mean),
            std=tuple(transform.std),
        ),
        parameters=sum(p.numel() for p in trunk.parameters()),
        **common,
    )


def _cut(whole: Any, side: int) -> tuple[dict[str, str], str]:
    """The nodes of the model's graph that give the levels, and the path of the head after them.

    The global node is the one before the last linear layer; the dense node is the last map before
    pooling.
    """
    from torch import nn
    from torchvision.models.feature_extraction import (
        create_feature_extractor,
        get_graph_node_names,
    )

    nodes = get_graph_node_names(whole)[1]
    linears = [n for n, m in whole.named_modules() if isinstance(m, nn.Linear)]
    head = linears[-1] if linears and linears[-1] in nodes else "classifier"
    before = [node for node in nodes if not f"{node}.".startswith(f"{head}.")]
    before = before[: nodes.index(head)] if head in nodes else before
    found = {before[-1]: "global"} if head in nodes else {}
    # A transformer's only map is its patch embedding; a pooled map is no dense level.
    if not hasattr(whole, "conv_proj"):
        pooled = [node for node in before if "avg" in node and "." not in node]
        tail = before[: before.index(pooled[-1])] if pooled else before
        tail = [node for node in tail if not node.startswith("classifier")]
        shapes = _shapes(_TensorsOnly(create_feature_extractor(whole, tail[-12:])), side)
        maps = [node for node, shape in shapes.items() if len(shape) == 4 and shape[2] > 1]
        found = {maps[-1]: "dense", **found} if maps else found
    return found, head


class _TensorsOnly:
    """Of a module's named outputs, those that are tensors."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, x: Any) -> dict[str, Any]:
        return {key: value for key, value in self.module(x).items() if hasattr(value, "detach")}
