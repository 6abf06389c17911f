from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from kivfm_core.data.canvas import render_views
from kivfm_core.data.folder import Folder
from kivfm_core.data.loader import Request, ViewDataset, load
from kivfm_core.data.sampler import StepSampler, ViewItem
from kivfm_core.data.unlabeled import Images
from kivfm_core.data.views import sample_others
from kivfm_core.errors import DataError
from kivfm_core.spec import InputContract

CONTRACT = InputContract(policy="stretch", size=32)


def sampler(start: int = 0, stop: int = 9, **more) -> StepSampler:
    return StepSampler(images=7, sizes=2, batch_size=4, start=start, stop=stop, seed=5, **more)


def dataset(
    pictures: Path, names: list[str], teachers: Sequence[Request] = ((CONTRACT, 64),), **more
) -> ViewDataset:
    images = Images(pictures, [Folder(pictures, names)])
    return ViewDataset(images, 5, (CONTRACT, (32, 48)), teachers, **{"bad_limit": 20, **more})


def test_an_epoch_sees_every_picture_once():
    items = [item for step in sampler(stop=7) for item in step]
    for epoch in range(4):
        assert sorted(item.image for item in items if item.view == epoch) == list(range(7))


def test_a_step_does_not_depend_on_where_one_started():
    assert list(sampler())[4:] == list(sampler(start=4))


def test_processes_share_a_step():
    whole = list(sampler())
    parts = [list(sampler(rank=rank, world=2)) for rank in range(2)]
    for step, left, right in zip(whole, *parts, strict=True):
        assert sorted([*left, *right], key=str) == sorted(step, key=str)


def test_stored_views_come_again():
    items = [item for step in sampler(stop=21, views=2) for item in step]
    assert {item.view for item in items} == {0, 1}


def test_stored_views_take_turns_at_the_sizes():
    steps = [step for step in sampler(stop=21, views=2) if len({item.view for item in step}) == 1]
    assert {(item.view, item.size) for step in steps for item in step} == {(0, 0), (1, 1)}


def test_known_views_are_not_rendered_for_teachers(pictures: Path):
    names = [f"{'more/' if i % 2 else ''}{i:02d}.png" for i in range(7)]
    first = next(iter(sampler(views=1)))
    keys = [item.key for item in first]
    for known, count in ((keys, 0), (keys[:3], 1)):
        batch = next(load(dataset(pictures, names), sampler(views=1, known=known), workers=0))
        assert batch.student.shape[0] == 4 and len(batch.teachers) == count


def test_a_bad_picture_is_replaced_and_named(pictures: Path):
    (pictures / "bad.png").write_bytes(b"no picture")
    names = ["00.png", "bad.png", "02.png", "04.png", "06.png", "08.png", "10.png"]
    batches = list(load(dataset(pictures, names), sampler(), workers=0))
    assert {name for batch in batches for name in batch.bad} == {"bad.png"}
    assert all(torch.isfinite(batch.student).all() and len(batch.student) == 4 for batch in batches)


def test_a_folder_of_bad_pictures_is_not_read_to_its_end(pictures: Path):
    for i in range(50):
        (pictures / f"bad{i:02}.png").write_bytes(b"no picture")
    names = sorted(path.name for path in pictures.iterdir() if path.name.startswith("bad"))
    with pytest.raises(DataError, match="21 images cannot be decoded, more than the limit"):
        dataset(pictures, names)[ViewItem(0, 0, 0)]


def names_in(pictures: Path) -> list[str]:
    return sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))


def test_a_mosaic_shows_four_pictures_and_everyone_the_same(pictures: Path):
    names = names_in(pictures)
    plain = dataset(pictures, names, whole=1.0)
    data = dataset(pictures, names, [(CONTRACT, 65)], whole=1.0, mosaic=1.0)
    for item in (ViewItem(0, 0, 0), ViewItem(3, 1, 0)):
        _, canvases, frames, _ = data[item]
        others = sample_others(len(names), 5, names[item.image], item.view, 1.0)
        views = [plain._view(place, item.view, []) for place in (item.image, *others)]
        for canvas, half in zip(canvases, (16, 33), strict=True):  # 65 is 33 and 32
            corners = (slice(0, half), slice(half, None))
            quarters = [canvas[:, y, x] for y in corners for x in corners]
            for view, quarter in zip(views, quarters, strict=True):
                tile, _ = render_views([view], CONTRACT, half)
                assert torch.equal(quarter, tile[:, : quarter.shape[1], : quarter.shape[2]])
        assert [frame.content for frame in frames] == [(0, 0, 32, 32), (0, 0, 65, 65)]


def test_a_bad_picture_of_a_mosaic_is_replaced_and_named(pictures: Path):
    (pictures / "bad.png").write_bytes(b"no picture")
    names = [*names_in(pictures)[:4], "bad.png"]
    data = dataset(pictures, names, bad_limit=1, mosaic=1.0)
    found = [data[ViewItem(place, view, 0)] for place in range(len(names)) for view in range(30)]
    assert [bad for *_, bad in found if bad] == [["bad.png"]] * sum(bool(bad) for *_, bad in found)
    assert sum(bool(bad) for *_, bad in found) > 30  # not only where it is the view's own picture


@pytest.mark.parametrize("workers", [0, 1])
def test_who_sees_the_same_shares_a_canvas(pictures: Path, workers: int):
    padded = CONTRACT.model_copy(update={"pad_value": (0.5, 0.5, 0.5)})
    scaled = CONTRACT.model_copy(update={"mean": (0.5, 0.5, 0.5)})
    teachers = [(scaled, 32), (padded, 32), (CONTRACT, 64), (scaled, 64)]
    data = dataset(pictures, names_in(pictures), teachers)
    (batch,) = load(data, [[ViewItem(place, 0, 0) for place in range(4)]], workers)
    first, second, third, fourth = batch.teachers
    assert first is batch.student and fourth is third
    assert second is not batch.student and not torch.equal(second, first)
