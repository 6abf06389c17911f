"""From a timm name to a teacher spec: built on the meta device and looked at, never downloaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from kivfm_core.spec import Attachment, InputContract, Level, TeacherSpec
from kivfm_teachers.names import unknown
from kivfm_teachers.probe import dense_level
from kivfm_teachers.timm.describe import describe

if TYPE_CHECKING:
    from torch import Tensor, nn

POLICIES = {"center": "short-side-crop", "squash": "stretch", "border": "letterbox-center"}
# What lets an architecture take canvases of other sizes; the first that it accepts.
SIZE_OPTIONS: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False})


def resolve(name: str) -> TeacherSpec:
    """The spec of `timm/<model[.tag]>`; without a tag, of timm's default weights.

    Raises:
        LookupError: If timm has no such model or tag, or it gives no feature levels.
    """
    model_name = name.removeprefix("timm/")
    model, full, kwargs = _build(model_name)
    data = _data_config(model)
    sides = set(data["input_size"][1:])
    side = sides.pop()
    if sides:
        raise LookupError(f"{name} takes pictures of {data['input_size']}, not square ones")
    norm = _norm(model, side, name)
    stride = _feature_info(model)[-1]["reduction"]
    dense = dense_level("dense", lambda n: tuple(_run(model, n, norm)[1].shape), side, stride)
    cfg: dict[str, Any] = full.pretrained_cfg
    resolved = f"{cfg['architecture']}.{cfg['tag']}" if cfg.get("tag") else cfg["architecture"]
    levels = [Level(name="global", kind="global", channels=_run(model, side, norm)[0].shape[1])]
    classifier, classes, bias = _classifier(model, full, levels[0].channels)
    attachments = _attachments(model, side, norm)
    return describe(
        f"timm/{resolved}",
        resolved,
        levels=(*levels, dense[0]) if dense else tuple(levels),
        input=_contract(data, side, dense[1] if dense else side),
        parameters=sum(p.numel() for p in model.parameters()),
        kwargs=kwargs,
        norm=norm,
        classifier=classifier,
        classes=classes,
        license=cfg.get("license"),
        weights=_source(cfg, sum(t.numel() for t in full.state_dict().values())),
        config=({} if bias else {"bias": False}) | ({"url": cfg["url"]} if _by_url(cfg) else {}),
        attachments=attachments,
        role="general" if attachments else "purpose",
        summary=f"timm {resolved}",
        paper=cfg.get("paper_ids") or "",
    )


def _build(name: str) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
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
                full = timm.create_model(name, pretrained=False, **kwargs).eval()
                model = timm.create_model(name, pretrained=False, num_classes=0, **kwargs).eval()
        except TypeError:  # the architecture does not know this option
            if not kwargs:
                raise
        else:
            return model, full, kwargs
    raise AssertionError


def _data_config(model: nn.Module) -> dict[str, Any]:
    from timm.data import resolve_model_data_config

    return resolve_model_data_config(model)


def _run(model: Any, side: int, norm: bool) -> tuple[Tensor, Tensor]:
    """`global` and `dense` of a canvas, on the meta device."""
    import torch

    x = torch.empty(1, 3, side, side, device="meta")
    with torch.no_grad():
        final, maps = model.forward_intermediates(x, indices=1, norm=norm, output_fmt="NCHW")
        return model.forward_head(final, pre_logits=True), maps[-1]


def _norm(model: nn.Module, side: int, name: str) -> bool:
    """Whether the last map can be had after the final normalization, as the head sees it."""
    try:
        _run(model, side, norm=True)
    except AssertionError:
        return False
    except (AttributeError, TypeError, NotImplementedError) as error:
        raise LookupError(f"{name} has no forward_intermediates, hence no dense level") from error
    return True


def _feature_info(model: Any) -> list[dict[str, Any]]:
    return getattr(model.feature_info, "info", model.feature_info)


def _classifier(model: nn.Module, full: Any, channels: int) -> tuple[str, int, bool]:
    """Path, classes and bias of the last linear layer; no classes if it is something else."""
    from torch import nn

    path, head = full.pretrained_cfg.get("classifier"), full.get_classifier()
    if not isinstance(path, str):
        return "head", 0, True
    own = {f"{path}.{key}" for key in head.state_dict()} if isinstance(head, nn.Linear) else set()
    extra = full.state_dict().keys() - model.state_dict().keys()
    if not own or own != extra or head.in_features != channels:
        return path, 0, True
    return path, head.out_features, head.bias is not None


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


def _attachments(model: Any, side: int, norm: bool) -> tuple[Attachment, ...]:
    """The modules of timm's `feature_info` that exist and run, with the layout they really have."""
    info = _feature_info(model)
    names = {i["module"] for i in info}
    with _recorded({n: m for n, m in model.named_modules() if n in names}) as out:
        _run(model, side, norm)
    prefix = getattr(model, "num_prefix_tokens", None)
    found = (_attachment(i, out.get(i["module"]), side, prefix) for i in info)
    return tuple(attachment for attachment in found if attachment is not None)


@contextmanager
def _recorded(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    outputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _x, y, name=name: outputs.update({name: y}))
        for name, module in modules.items()
    ]
    yield outputs
    for hook in hooks:
        hook.remove()


def _attachment(
    info: Mapping[str, Any], output: Any, side: int, prefix: int | None
) -> Attachment | None:
    channels, stride = info["num_chs"], info["reduction"]
    shape = tuple(getattr(output, "shape", ()))
    layout: Literal["NLC", "NCHW", "NHWC"]
    # Models that do not say how many prefix tokens they have may order their tokens in any way, as
    # Hiera does.
    if (
        len(shape) == 3
        and prefix is not None
        and shape[1:]
        == (
            prefix + (side // stride) ** 2,
            channels,
        )
    ):
        layout = "NLC"
    elif len(shape) == 4 and shape[1] == channels:
        layout = "NCHW"
    elif len(shape) == 4 and shape[3] == channels:
        layout = "NHWC"
    else:
        return None
    return Attachment(
        module=f"model.{info['module']}",
        channels=channels,
        layout=layout,
        stride=stride,
        prefix_tokens=prefix or 0 if layout == "NLC" else 0,
    )
