"""What is settled before anything is loaded: who is measured on what, and labels that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from oracle import oracle_spec
from PIL import Image

from kivfm_core.errors import DataError
from kivfm_core.evaluation.worklist import list_work

SEER = oracle_spec({"detection": ("cat",)}, name="seer/one")


def boxes(folder: Path, **sizes: tuple[int, int]) -> Path:
    """Images of 8 x 6 pixels, a box each; sizes `(width, height)` as the label file has them."""
    (folder / "images").mkdir(parents=True)
    for name in sizes:
        Image.new("RGB", (8, 6)).save(folder / f"images/{name}.png")
    images = [
        {"id": name, "file_name": f"{name}.png", "width": width, "height": height}
        for name, (width, height) in sizes.items()
    ]
    items = [{"image_id": name, "category_id": 1, "bbox": [0, 0, 4, 4]} for name in sizes]
    content = {"images": images, "annotations": items, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_labels_of_another_size_are_refused_before_anything_runs(tmp_path: Path) -> None:
    folder = boxes(tmp_path / "d", a=(8, 6), b=(6, 8))
    with pytest.raises(DataError, match=r"b\.png is 8 x 6 pixels .* are for 6 x 8") as caught:
        list_work([SEER], [str(folder)])
    assert "width and height" in caught.value.hint
    (folder / "images/b.png").write_bytes(b"broken")  # is counted when it is decoded
    assert len(list_work([SEER], [str(folder)]).teachers[SEER.name]) == 1


def test_a_task_that_nobody_solves_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="seer/one: not for zero-shot"):
        list_work([SEER], [str(boxes(tmp_path / "d", a=(8, 6)))], ["zero-shot"])
