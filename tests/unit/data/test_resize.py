"""A part of a resized image is that part of the whole, and costs no more than it shows."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as T

from kivfm_core.data.canvas import HUGE, make_canvases
from kivfm_core.data.resize import resize, resize_part
from kivfm_core.geometry import plan_frame
from kivfm_core.spec import InputContract

FILTERS = st.sampled_from(["nearest", "bilinear", "bicubic"])
# torch itself repeats the first row of antialiased images that are one pixel wide.
SIDE = st.integers(2, 40)


@settings(max_examples=300, deadline=None)
@given(st.tuples(SIDE, SIDE), st.tuples(SIDE, SIDE), FILTERS, st.booleans(), st.data())
def test_a_part_is_that_of_the_whole(
    old: tuple[int, int], new: tuple[int, int], kind: str, antialias: bool, data: Any
):
    x0, y0 = data.draw(st.integers(0, new[1] - 1)), data.draw(st.integers(0, new[0] - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, new[1])), data.draw(st.integers(y0 + 1, new[0]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = torch.from_numpy(rng.integers(0, 256, (3, *old), dtype=np.uint8))
    whole = T.resize(image.float(), list(new), InterpolationMode(kind), antialias=antialias)
    part = resize_part(image, new, (x0, y0, x1, y1), kind, antialias)
    assert part.shape == (3, y1 - y0, x1 - x0)
    assert torch.allclose(part, whole[:, y0:y1, x0:x1], rtol=0, atol=2e-3)  # of 255


@settings(max_examples=300, deadline=None)
@given(st.data(), FILTERS, st.booleans())
def test_images_are_resized_as_torchvision_does_bit_for_bit(data: Any, kind: str, antialias: bool):
    side, batch = st.integers(1, 40), data.draw(st.sampled_from([(), (1,), (2,)]))
    old, new = data.draw(st.tuples(side, side)), data.draw(st.tuples(side, side))
    x, y = data.draw(st.integers(0, old[1] - 1)), data.draw(st.integers(0, old[0] - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    images = torch.from_numpy(rng.random((*batch, 3, *old), dtype=np.float32))[..., y:, x:]
    theirs = T.resize(images, list(new), InterpolationMode(kind), antialias=antialias)
    assert torch.equal(resize(images, new, kind, antialias), theirs)


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("shape", [(1, 2000), (3000, 2), (40, 900)])
def test_a_strip_under_a_crop(shape: tuple[int, int], antialias: bool, kind: Any):
    contract = InputContract(
        policy="short-side-crop", size=32, interpolation=kind, antialias=antialias
    )
    image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    frame = plan_frame(shape, contract)
    (h, w), (x, y) = frame.resized, frame.origin
    assert h * w > HUGE * 32 * 32
    canvas = make_canvases([image], contract)[0][0]
    whole = T.resize(image / 255, [h, w], InterpolationMode(kind), antialias=antialias)
    whole = whole.clamp(0, 1)[:, -y : 32 - y, -x : 32 - x]
    assert torch.allclose(canvas, whole, rtol=0, atol=1e-4)


def test_a_strip_takes_little_memory():
    contract = InputContract(policy="short-side-crop", size=224, interpolation="bicubic")
    image = torch.zeros(3, 1, 2000, dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert make_canvases([image], contract)[0].shape == (1, 3, 224, 224)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB
