"""From a timm name to a teacher spec: built on the meta device and looked at, never downloaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_teachers.names import unknown
from kivfm_teachers.probe import dense_level
from kivfm_teachers.timm.describe import describe
from kivfm_teachers.timm.look import attachments, feature_info, look, run

if TYPE_CHECKING:
    from torch import nn

POLICIES = {"center": "short-side-crop", "squash": "stretch", "border": "letterbox-center"}
# What lets an architecture take canvases of other sizes; the first that it accepts.
SIZE_OPTIONS: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False})


def resolve(name: str) -> TeacherSpec:
    """The spec of `timm/<model[.tag]>`; without a tag, of timm's default weights.

    Raises:
        LookupError: If timm has no such model or tag, or it gives no feature levels.
    """
    from kivfm_teachers.timm.shapes import ShapesOnly

    with ShapesOnly():
        return _look_at(name)


def _look_at(name: str) -> TeacherSpec:
    model, kwargs = _build(name.removeprefix("timm/"))
    elements = sum(tensor.numel() for tensor in _state(model).values())
    head = _take_head(model)
    data = _data_config(model)
    sides = set(data["input_size"][1:])
    side = sides.pop()
    if sides:
        raise LookupError(f"{name} takes images of {data['input_size']}, not square ones")
    norm, first, places = look(model, side, name)
    stride = feature_info(model)[-1]["reduction"]
    dense = dense_level(
        "dense", lambda n: first[1] if n == side else run(model, n, norm)[1], side, stride
    )
    cfg: dict[str, Any] = model.pretrained_cfg
    resolved = f"{cfg['architecture']}.{cfg['tag']}" if cfg.get("tag") else cfg["architecture"]
    levels = [Level(name="global", kind="global", channels=first[0][1])]
    if head is not None and head.in_features != levels[0].channels:
        head = None
    found = attachments(model, places, side)
    return describe(
        f"timm/{resolved}",
        resolved,
        levels=(*levels, dense[0]) if dense else tuple(levels),
        input=_contract(data, side, dense[1] if dense else side),
        parameters=sum(p.numel() for p in model.parameters()),
        kwargs=kwargs,
        norm=norm,
        classifier=path if isinstance(path := cfg.get("classifier"), str) else "head",
        classes=head.out_features if head else 0,
        license=cfg.get("license"),
        weights=_source(cfg, elements),
        config=({"bias": False} if head and head.bias is None else {})
        | ({"url": cfg["url"]} if _by_url(cfg) else {}),
        attachments=found,
        role="general" if found else "purpose",
        summary=f"timm {resolved}",
        paper=cfg.get("paper_ids") or "",
    )


def _build(name: str) -> tuple[Any, dict[str, Any]]:
    """The model with its classifier, and the option that it takes."""
    import timm
    import torch

    arch, _, tag = name.partition(".")
    if not timm.is_model(arch):
        raise unknown(name, "timm", timm.list_models())
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{arch}.*")]
    if tag and tag not in tags:
        raise unknown(name, "timm", [f"{arch}.{known}" for known in tags])
    for kwargs in (*SIZE_OPTIONS, {}):
        try:
            with torch.device("meta"):
                return timm.create_model(name, pretrained=False, **kwargs).eval(), kwargs
        except TypeError:  # the architecture does not know this option
            if not kwargs:
                raise
    raise AssertionError


def _data_config(model: nn.Module) -> dict[str, Any]:
    from timm.data import resolve_model_data_config

    return resolve_model_data_config(model)


def _state(model: nn.Module) -> dict[str, Any]:
    # Detaching thousands of tensors takes as long as building the model.
    return model.state_dict(keep_vars=True)


def _take_head(model: Any) -> nn.Linear | None:
    """Takes a model's classifier off; gives it if it is one linear layer, and nothing else."""
    from torch import nn

    head, path = model.get_classifier(), model.pretrained_cfg.get("classifier")
    before = _state(model).keys()
    model.reset_classifier(0)
    if not isinstance(path, str) or not isinstance(head, nn.Linear):
        return None
    own = {f"{path}.{key}" for key in head.state_dict()}
    return head if own == before - _state(model).keys() else None


def _contract(data: Mapping[str, Any], side: int, multiple: int) -> InputContract:
    policy = POLICIES[data["crop_mode"]]
    resize = math.floor(side / data["crop_pct"]) if policy == "short-side-crop" else None
    interpolation = data["interpolation"]
    return InputContract.model_validate(
        {
            "policy": policy,
            "size": side,
            "resize": resize,
            "multiple": multiple,
            "interpolation": interpolation if interpolation == "bilinear" else "bicubic",
            "mean": tuple(data["mean"]),
            "std": tuple(data["std"]),
        }
    )


def _by_url(cfg: Mapping[str, Any]) -> bool:
    return not cfg.get("hf_hub_id") and bool(cfg.get("url"))


def _source(cfg: Mapping[str, Any], elements: int) -> dict[str, Any]:
    if cfg.get("hf_hub_id"):
        file = cfg.get("hf_hub_filename") or "model.safetensors"
        # float32 values; the header of some kilobytes aside
        return {"source": f"hf:{cfg['hf_hub_id']}/{file}", "bytes": 4 * elements}
    if cfg.get("url"):
        file = cfg["url"].rsplit("/", 1)[1]
        return {"source": f"torch:{file}", "fetch": "kivfm_teachers.fetch:from_url"}
    return {"source": f"torch:{cfg['architecture']}.pth"}  # none published: give your own
