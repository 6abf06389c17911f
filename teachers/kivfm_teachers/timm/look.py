"""What a timm model gives: found by running it on the meta device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from kivfm_core.spec import Attachment
from kivfm_teachers.probe import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn


def run(model: Any, side: int, norm: bool) -> tuple[Shape, Shape]:
    """Shapes of `global` and `dense` of a canvas, on the meta device."""
    import torch

    x = torch.empty(1, 3, side, side, device="meta")
    with torch.no_grad():
        final, maps = model.forward_intermediates(x, indices=1, norm=norm, output_fmt="NCHW")
        return tuple(model.forward_head(final, pre_logits=True).shape), tuple(maps[-1].shape)


def look(
    model: nn.Module, side: int, name: str
) -> tuple[bool, tuple[Shape, Shape], dict[str, Tensor]]:
    """A first run: all that it shows.

    Returns:
        Whether the last map can be had after the final normalization, as the head sees it; the
        shapes of `global` and `dense`; and what the modules of timm's `feature_info` gave.
    """
    names = {info["module"] for info in feature_info(model)}
    try:
        with _recorded({n: m for n, m in model.named_modules() if n in names}) as places:
            try:
                return True, run(model, side, norm=True), places
            except AssertionError:
                return False, run(model, side, norm=False), places
    except (AttributeError, TypeError, NotImplementedError) as error:
        raise LookupError(f"{name} has no forward_intermediates, hence no dense level") from error
    except RuntimeError as error:
        raise LookupError(
            f"{name}'s shapes follow from values, hence cannot be declared: {error}"
        ) from error


def feature_info(model: Any) -> list[dict[str, Any]]:
    """The table of a model's stages that timm has: module, channels, reduction."""
    return getattr(model.feature_info, "info", model.feature_info)


def attachments(model: nn.Module, places: Mapping[str, Any], side: int) -> tuple[Attachment, ...]:
    """The modules of timm's `feature_info` that exist and ran, with the layout they really have."""
    prefix = getattr(model, "num_prefix_tokens", None)
    found = (_attachment(i, places.get(i["module"]), side, prefix) for i in feature_info(model))
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
    # Models that do not declare how many prefix tokens they have may order their tokens in any
    # way, as Hiera does.
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
