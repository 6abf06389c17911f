"""Scenes: the same from the same numbers, labeled rightly, written whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kivfm_core.scenes import CATEGORIES, DOMAINS, HELD_OUT_DOMAIN, named_classes
from kivfm_core.scenes.coco import encode_mask
from kivfm_core.scenes.render import VOID, render, render_object
from kivfm_core.scenes.write import write_scenes


@pytest.mark.parametrize("domain", [*DOMAINS, HELD_OUT_DOMAIN])
def test_a_scene_depends_on_its_numbers_alone(domain: str) -> None:
    first, again, other = render(1, 5, domain), render(1, 5, domain), render(1, 6, domain)
    assert np.array_equal(first.image, again.image)
    assert first.caption == again.caption
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


@pytest.mark.parametrize("domain", DOMAINS)
def test_labels_agree_with_each_other(domain: str) -> None:
    for index in range(8):
        scene = render(0, index, domain)
        covered = np.zeros(scene.semantic.shape, dtype=bool)
        for item in scene.objects:
            x0, y0, x1, y1 = item.box
            rows, columns = np.nonzero(item.mask)
            assert (columns.min(), rows.min(), columns.max(), rows.max()) == (
                x0,
                y0,
                x1 - 1,
                y1 - 1,
            )
            assert set(scene.semantic[item.mask]) == {CATEGORIES.index(item.category) + 1}
            assert item.name in scene.caption
            assert not (covered & item.mask).any()
            covered |= item.mask
        assert set(scene.semantic[~covered]) <= {0, VOID}


def test_a_named_class_is_what_is_drawn() -> None:
    classes = named_classes()
    assert len(classes) == 48
    for name, words in list(classes.items())[:5]:
        assert [item.name for item in render_object(0, 0, "flat", words).objects] == [name]


def test_run_lengths_decode_to_the_mask() -> None:
    mask = render(0, 0, "flat").objects[0].mask
    counts = encode_mask(mask)["counts"]
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    assert np.array_equal(values.reshape(mask.shape, order="F"), mask)


def test_layout_on_disk(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "scenes"
    write_scenes(folder, train=4, val=4, per_class=1, progress=lambda *now: seen.append(now))
    assert seen[-1] == (56, 56)
    assert len(list((folder / "train/images").glob("*.jpg"))) == 4
    assert {path.name for path in (folder / "val/classes").iterdir()} == set(named_classes())
    coco = json.loads((folder / "val/instances.json").read_text())
    captions = json.loads((folder / "val/captions.json").read_text())
    assert len(captions["annotations"]) == 4
    assert json.loads((folder / "val/semantic/classes.json").read_text())[1] == CATEGORIES[0]
    for entry in coco["images"]:
        with Image.open(folder / "val/images" / entry["file_name"]) as picture:
            assert picture.size == (entry["width"], entry["height"])
    for annotation in coco["annotations"]:
        assert sum(annotation["segmentation"]["counts"][1::2]) == annotation["area"]


def test_a_second_call_does_nothing_and_another_set_is_refused(tmp_path: Path) -> None:
    write_scenes(tmp_path / "s", train=2, val=1, per_class=0)
    before = (tmp_path / "s/train/images/000000.jpg").stat().st_mtime_ns
    write_scenes(tmp_path / "s", train=2, val=1, per_class=0)
    assert (tmp_path / "s/train/images/000000.jpg").stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match="other data"):
        write_scenes(tmp_path / "s", train=3, val=1, per_class=0)


def test_an_interrupted_write_is_redone(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "s", train=3, val=1, per_class=0, progress=interrupt)
    assert not (tmp_path / "s").exists()
    write_scenes(tmp_path / "s", train=3, val=1, per_class=0)
    assert (tmp_path / "s/scenes.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
