"""Batches: of equal canvas, in an order that depends on the images alone, and never many."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
import torch
from PIL import Image

from kivfm_core.data import batches as module
from kivfm_core.data.batches import batches
from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.errors import DataError
from kivfm_core.spec import InputContract

CONTRACT = InputContract(policy="short-side", size=16)


def write(folder: Path, count: int) -> list[Path]:
    """Images of as many shapes."""
    paths = [folder / f"{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (16 + number, 16), (number, 0, 0)).save(path)
    return paths


def test_canvases_are_those_that_an_image_has_alone(tmp_path: Path) -> None:
    paths = write(tmp_path, 5) * 2
    seen: list[int] = []
    for batch in batches(paths, CONTRACT):
        images = [to_tensor(open_image(paths[index])) for index in batch.indices]
        canvases, frames = make_canvases(images, CONTRACT)
        assert torch.equal(batch.images, canvases) and batch.frames == frames
        seen += batch.indices
    assert sorted(seen) == list(range(10))


def test_images_of_many_shapes_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write(tmp_path, 30)
    monkeypatch.setattr(module, "WAITING", 1500)
    found = [batch.indices for batch in batches(paths, CONTRACT)]
    assert sorted(chain.from_iterable(found)) == list(range(30))
    assert found[0] == [0]  # the oldest went first, before all were read
    assert next(iter(batches(paths, CONTRACT))).read < 10


def test_progress_ends_at_the_end_and_never_goes_back(tmp_path: Path) -> None:
    paths = write(tmp_path, 3) * 12
    counts: list[tuple[int, int]] = []
    for _ in batches(paths, CONTRACT, lambda *count: counts.append(count)):
        pass
    assert counts == sorted(counts) and counts[-1] == (36, 36)


def test_a_patient_reader_names_every_broken_image(tmp_path: Path) -> None:
    paths = write(tmp_path, 12)
    for path in paths:
        path.write_bytes(b"broken")
    reader = ImageReader(12, limit=12)
    assert [*batches(paths, CONTRACT, reader=reader)] == []
    assert [str(path) in line for path, line in zip(paths, reader.broken, strict=True)] == [
        True
    ] * 12
    with pytest.raises(DataError, match="11 of the first 11 images are broken"):
        [*batches(paths, CONTRACT)]
