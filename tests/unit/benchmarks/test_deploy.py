"""What benchmarks.deploy times is what a student does, and its page says what was found."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.deploy.__main__ import EAGER, FP32, INT8, _holds, page
from benchmarks.deploy.ways import ALONE, FEATURES, TEACHERS, TOGETHER, make_ways
from kivfm_core.data.canvas import make_canvases
from kivfm_core.student.one_pass import SharedPass
from kivfm_core.testing.images import make_image


def test_the_one_pass_is_that_of_the_library():
    ways = make_ways("nano")
    assert [len(ways[way]) for way in (TEACHERS, ALONE, TOGETHER, FEATURES)] == [5, 5, 1, 1]
    program = ways[TOGETHER][0]
    shared = SharedPass(program.module.stand_ins, torch.device("cpu"))  # type: ignore[arg-type]
    canvas, frames = make_canvases([make_image(120, 160, 0)], shared.input)
    assert canvas.shape[-2:] == program.size
    levels = [level for found in shared.encode(canvas, frames) for level in found.values()]
    for right, found in zip(levels, program.run(canvas).values(), strict=True):
        assert torch.allclose(right, found, atol=1e-5)
    # A batch of images of one size, by the frame of one.
    two = program.run(torch.cat([canvas, canvas]))
    assert torch.allclose(two["level1"][1:], levels[1], atol=1e-5)


def record(fp32: float, together: float) -> dict[str, Any]:
    took = {
        way: {EAGER: [0.1] * 3, FP32: [fp32] * 3, INT8: [0.02] * 3}
        for way in (TEACHERS, ALONE, TOGETHER, FEATURES)
    }
    took[TOGETHER] = {EAGER: [0.1], FP32: [together], INT8: [0.01]}
    size = dict.fromkeys(took, 2**21)
    return {
        "canvases": {way: [[96, 96]] for way in took},
        "bytes": {FP32: size, INT8: size},
        "largest_error": dict.fromkeys(took, 2e-6),
        "seconds": {"1 x 1": took, "8 x 2": took},
    }


def test_the_page_has_ratios_to_the_teachers():
    where = {"load": 0.5, "cores": 2}
    students = {"nano": record(0.05, 0.025)}
    lines = page({"repeats": 3, "machine": where, "students": students})
    row = next(line for line in lines if TOGETHER in line and f"| {FP32} |" in line)
    assert row.count("25.0 (2.00)") == 2 and row.endswith("| 2.0 |")
    assert not any("busy" in line for line in lines)
    busy = page({"repeats": 3, "machine": {**where, "load": 7.2}, "students": students})
    assert any("busy (load 7.2)" in line for line in busy)
    assert any("one image, one thread | 8 images, 2 threads" in line for line in lines)


def test_bars():
    assert _holds("real", record(0.05, 0.025))
    assert not _holds("real", record(0.05, 0.06)) and _holds("nano", record(0.05, 0.06))
    assert not _holds("nano", record(0.2, 0.025))
