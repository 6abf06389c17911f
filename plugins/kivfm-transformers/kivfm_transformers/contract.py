"""From an image processor's configuration to an input contract."""

from __future__ import annotations

from typing import Any

from kivfm_core.errors import UsageError
from kivfm_core.spec import InputContract

# By Pillow's numbers: nearest, Lanczos, bilinear, bicubic. kivfm has no Lanczos filter and takes
# bicubic, the nearest to it.
INTERPOLATION = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def input_contract(processor: dict[str, Any], multiple: int) -> InputContract:
    """The contract of an image processor.

    Args:
        processor: Its configuration, as `preprocessor_config.json` has it.
        multiple: What the encoder needs canvas sides to be a multiple of.

    Raises:
        UsageError: If no input contract describes what it does.
    """
    normalized = processor.get("do_normalize", True)
    mean = tuple(processor["image_mean"]) if normalized else BLACK
    std = tuple(processor["image_std"]) if normalized else WHITE
    resample = processor.get("resample", 2)
    if resample not in INTERPOLATION:
        raise UsageError(
            f"its image processor uses Pillow's filter {resample}, which kivfm does not have",
            'set "resample" to 2 (bilinear) or 3 (bicubic) in preprocessor_config.json',
        )
    rescale = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1
    return InputContract.model_validate(
        {
            **_geometry(processor),
            "multiple": max(
                multiple,
                processor.get("size_divisor") or 1,
                processor.get("ensure_multiple_of") or 1,
            ),
            "interpolation": INTERPOLATION[resample],
            "scale": round(255 * rescale, 6),
            "mean": mean,
            "std": std,
            "pad_value": mean,  # padding is zero after normalization
        }
    )


def _geometry(processor: dict[str, Any]) -> dict[str, Any]:
    size, crop = processor["size"], processor.get("crop_size")
    if isinstance(size, int):  # as old files have it
        short = crop is not None or "max_size" in processor
        size = {"shortest_edge": size} if short else {"height": size, "width": size}
    long = size.get("longest_edge") or processor.get("max_size")
    if "shortest_edge" in size and processor.get("do_center_crop"):
        side = crop if isinstance(crop, int) else crop["height"]
        return {
            "policy": "short-side-crop",
            "size": side,
            "resize": size["shortest_edge"],
            "crop_rounding": "floor",
        }
    if "shortest_edge" in size:
        return {"policy": "short-side", "size": size["shortest_edge"], "max_size": long}
    if size.get("height") and size["height"] == size.get("width"):
        if processor.get("keep_aspect_ratio") or not processor.get("do_resize", True):
            # DPT's, which rounds the long side to a multiple where the core pads it, and fits the
            # long side of an image that is smaller than `size`.
            return {"policy": "short-side", "size": size["height"]}
        unit = processor.get("ensure_multiple_of") or 1
        return {"policy": "stretch", "size": round(size["height"] / unit) * unit}
    if long and processor.get("do_pad"):
        # SAM's, which rounds sides to the nearest pixel.
        return {"policy": "letterbox", "size": long, "rounding": "nearest"}
    raise UsageError(
        f"images of size {size} fit no input policy", "give its image processor a square size"
    )
