"""The check that canvases are what the original's own preprocessing makes of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import InputContract
from kivfm_core.testing.images import make_image
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject, off, seeded

# Relative difference that another library's resampling may make.
CLOSE = 0.03
# What is tried in place of what the contract says, to name the field that is wrong.
OTHERS: dict[str, tuple[Any, ...]] = {
    "channel_order": ("RGB", "BGR"),
    "policy": ("stretch", "letterbox", "letterbox-center", "short-side", "short-side-crop"),
    "scale": (1.0, 255.0),
    "interpolation": ("nearest", "bilinear", "bicubic"),
    "antialias": (True, False),
}


def preprocess(subject: Subject) -> None:
    """The core's canvas of an image is what the original's own preprocessing makes of it."""
    spec = subject.spec
    if spec.original is None:
        raise NotChecked("the spec names no original")
    with seeded():
        whole: Any = resolve_reference(spec.original)(spec)
    if not hasattr(whole, "preprocess"):
        raise NotChecked(
            "the original has no preprocess(image): the input contract's policy, sizes, "
            "interpolation and channel order are compared with nothing",
            "see docs/reference/conformance.md, The original",
        )
    side = spec.input.size
    image = make_image(3 * side // 2, 2 * side, 0)
    wanted = whole.preprocess(image)
    words = off(_canvas(image, spec.input), wanted, CLOSE, "what the original makes of it")
    if words:
        fits = next(_fitting(image, spec.input, wanted), "correct the input contract")
        raise Finding(f"the canvas of an image is {words}", fits)


def _canvas(image: Tensor, contract: InputContract) -> Tensor:
    """What the encoder gets of an image: `[3, h, w]`, normalized."""
    return normalize(make_canvases([image], contract)[0], contract)[0]


def _fitting(image: Tensor, contract: InputContract, wanted: Tensor) -> Iterator[str]:
    """The changes of one field with which the contract would make the wanted canvas."""
    for field, options in OTHERS.items():
        for option in options:
            other = contract.model_copy(update={field: option})
            if not off(_canvas(image, other), wanted, CLOSE, ""):
                yield f"InputContract({field}={option!r}) makes the original's canvas"
