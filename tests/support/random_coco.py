"""Random images with objects and detections, and the forms in which each tool takes them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval.core import mask as codec
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray
from oracle_ap import Kind, Thing, figures

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.scenes.coco import encode_mask
from kivfm_core.tasks.meters.coco_ap import AveragePrecision

# Categories in a file's order, and what the teacher calls them: one it does not know, two that are
# one class to it, and one that no file has.
CATEGORIES = ("Cat", "ufo", "dog", "Dog", "diningtable")
SPACE = ("bird", "dining table", "dog", "cat")
LABELS = (3, None, 2, 2, 1)

# How a mask is written.
FORMS = ("polygon", "runs", "compressed")


@dataclass(frozen=True)
class Case:
    """What the images show and what was found.

    Attributes:
        sizes: `(height, width)` of each image.
        seen: The images that were looked at, in the order in which they were.
        objects: With the index of a category as label; the form of each mask.
        found: With a label of the teacher.
        ids: Of the images in a label file, in no order; by default 1, 2, ...
    """

    sizes: list[tuple[int, int]]
    seen: list[int]
    objects: list[tuple[Thing, str]]
    found: list[Thing]
    ids: Sequence[int] = range(1, 1000)

    def annotation(self, thing: Thing, form: str) -> dict[str, Any]:
        """An object in COCO's form; categories are numbered from 10."""
        record: dict[str, Any] = {
            "image_id": self.ids[thing.image],
            "category_id": thing.label + 10,
            "bbox": list(thing.box),
            "iscrowd": int(thing.crowd),
        }
        if thing.area is not None:
            record["area"] = thing.area
        if thing.mask is not None:
            record["segmentation"] = _in_form(thing.mask, form)
        return record

    def file(self) -> dict[str, Any]:
        """The content of a label file."""
        return {
            "images": [
                {"id": id, "file_name": f"{i}.png", "height": h, "width": w}
                for i, ((h, w), id) in enumerate(zip(self.sizes, self.ids, strict=False))
            ],
            "annotations": [
                {"id": i, **self.annotation(*pair)} for i, pair in enumerate(self.objects)
            ],
            "categories": [{"id": i + 10, "name": name} for i, name in enumerate(CATEGORIES)],
        }

    def data(self) -> CocoData:
        """The same as kivfm's own records, not read from a file."""
        file = self.file()
        items = tuple(
            [item for item in file["annotations"] if item["image_id"] == image["id"]]
            for image in file["images"]
        )
        paths = tuple(Path(image["file_name"]) for image in file["images"])
        return CocoData(paths, tuple(file["images"]), items, tuple(file["categories"]))

    def known(self) -> list[Thing]:
        """The objects of the images that were seen, with the teacher's label, if it has one."""
        pairs = [(thing, LABELS[thing.label]) for thing, _ in self.objects]
        return [
            replace(thing, label=label)
            for thing, label in pairs
            if label is not None and thing.image in self.seen
        ]

    def of_oracle(self, kind: Kind) -> list[float]:
        """The figures of the plain re-implementation."""
        labels = sorted({label for label in LABELS if label is not None})
        images = sorted(self.seen, key=lambda image: self.ids[image])
        return figures(images, labels, self.known(), self.found, kind)

    def of_kivfm(self, kind: Kind, data: CocoData | None = None) -> list[float]:
        """The figures of kivfm."""
        meter = AveragePrecision(data or self.data(), SPACE, kind)
        for image in self.seen:
            own = [thing for thing in self.found if thing.image == image]
            boxes = torch.tensor([thing.box for thing in own], dtype=torch.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            item = {
                "boxes": boxes,
                "scores": torch.tensor([thing.score for thing in own], dtype=torch.float32),
                "labels": torch.tensor([thing.label for thing in own], dtype=torch.long),
            }
            masks = [_compressed(thing.mask) for thing in own if thing.mask is not None]
            meter.add(image, item, masks if kind == "segm" else None)
        return list(meter.stats())[:12]

    def of_pycocotools(self, kind: Kind) -> list[float]:
        """The figures of pycocotools, which must be installed."""
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        images = [image for i, image in enumerate(self.file()["images"]) if i in self.seen]
        categories = [{"id": i} for i in sorted({i for i in LABELS if i is not None})]
        truth, answer = COCO(), COCO()
        for coco, things in ((truth, self.known()), (answer, self.found)):
            seen = [thing for thing in things if thing.image in self.seen]
            annotations = [
                {**_record(thing, kind), "id": i, "image_id": self.ids[thing.image]}
                for i, thing in enumerate(seen, 1)
            ]
            coco.dataset = {
                "images": images, "categories": categories, "annotations": annotations
            }  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()):
            truth.createIndex()
            answer.createIndex()
            evaluator = COCOeval(truth, answer, kind)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        return list(evaluator.stats)


def _record(thing: Thing, kind: Kind) -> dict[str, Any]:
    """As pycocotools' own `loadRes` leaves a result of boxes alone, or of masks alone."""
    area = thing.box[2] * thing.box[3]
    record: dict[str, Any] = {}
    if kind == "segm":
        assert thing.mask is not None
        area, record = float(thing.mask.sum()), {"segmentation": _compressed(thing.mask)}
    return {
        "category_id": thing.label,
        "bbox": list(thing.box),
        "iscrowd": int(thing.crowd),
        "area": area if thing.area is None else thing.area,
        "score": thing.score,
        **record,
    }


def _compressed(mask: NDArray[np.bool_]) -> Any:
    return codec.encode(np.asfortranarray(mask.astype(np.uint8)))


def _in_form(mask: NDArray[np.bool_], form: str) -> Any:
    if form == "runs":
        return encode_mask(mask)
    if form == "polygon" and mask.any():
        ys, xs = np.nonzero(mask)
        x0, y0, x1, y1 = (int(v) for v in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
        if mask[y0:y1, x0:x1].all():  # a rectangle: the same pixels by anyone's rules
            return [[x0, y0, x1, y0, x1, y1, x0, y1]]
    runs = _compressed(mask)
    return {"size": list(runs["size"]), "counts": bytes(runs["counts"]).decode()}


def paint(box: Sequence[float], size: tuple[int, int], round: bool) -> NDArray[np.bool_]:
    """A mask that fills a box, or the ellipse in it."""
    x, y, w, h = box
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    if round:
        return ((columns - x - w / 2) / max(w, 1e-9) * 2) ** 2 + (
            (rows - y - h / 2) / max(h, 1e-9) * 2
        ) ** 2 < 1
    return (columns > x) & (columns < x + w) & (rows > y) & (rows < y + h)


def random_case(seed: int, images: int = 6, most: int = 12, side: int = 160) -> Case:
    """Images with up to `most` objects each and detections on and beside them.

    Some images are empty, some have more than 100 detections of one class; scores come from a
    coarse grid every other time, so that many are equal; areas are of all ranges, or not given.
    """
    rng = np.random.default_rng(seed)
    sizes = [(int(h), int(w)) for h, w in rng.integers(side // 4, side, (images, 2))]
    objects: list[tuple[Thing, str]] = []
    found: list[Thing] = []
    ties = bool(rng.integers(2))
    for image, size in enumerate(sizes):
        own = [_object(rng, image, size) for _ in range(rng.integers(0, most + 1))]
        objects += own
        if rng.random() < 0.15:
            continue
        crowded = 130 if rng.random() < 0.3 else 0
        for thing, _ in own * 2 + own[:1] * crowded:
            found.append(_detection(rng, thing, size, ties, LABELS[thing.label] or 0))
        for _ in range(rng.integers(0, 5)):
            thing, _ = _object(rng, image, size)
            found.append(_detection(rng, thing, size, ties, int(rng.integers(len(SPACE)))))
    seen = [int(i) for i in rng.permutation(images)[: max(1, images - int(rng.integers(0, 3)))]]
    return Case(sizes, seen, objects, found, [int(i) for i in rng.permutation(99)[:images]])


def _object(rng: Generator, image: int, size: tuple[int, int]) -> tuple[Thing, str]:
    h, w = size
    x, y = (int(rng.integers(0, side)) for side in (w, h))
    reach = 0 if rng.random() < 0.05 else rng.choice([0.2, 0.5, 1.0])
    box = (x, y, int(reach * rng.integers(0, w - x + 1)), int(reach * rng.integers(0, h - y + 1)))
    thing = Thing(
        image,
        int(rng.integers(len(CATEGORIES))),
        box,
        paint(box, size, bool(rng.integers(2))),
        crowd=rng.random() < 0.15,
        area=[None, float(box[2] * box[3]), float(rng.choice([0, 1023.5, 1024, 9216, 1e5]))][
            int(rng.choice(3, p=[0.4, 0.4, 0.2]))
        ],
    )
    return thing, str(rng.choice(FORMS))


@st.composite
def small_cases(draw: Any) -> Case:
    """Few small images on a coarse grid: equal scores, equal boxes, and IoUs at a threshold."""
    sizes = draw(st.lists(st.tuples(st.integers(4, 8), st.integers(4, 8)), min_size=1, max_size=3))
    places = range(len(sizes))
    corner, side = st.integers(0, 4), st.integers(0, 5)
    boxes = st.tuples(corner, corner, side, side)
    areas = st.sampled_from([None, None, 0, 1024, 1023.5, 9216, 1e5, 2e10])

    def thing(image: int, label: int, **fields: Any) -> Thing:
        box = fields.pop("box")
        return Thing(image, label, box, paint(box, sizes[image], round=False), **fields)

    image = st.sampled_from(places)
    kinds = st.sampled_from(range(len(CATEGORIES)))
    crowd, forms = st.sampled_from([False, False, True]), st.sampled_from(FORMS)
    objects = st.builds(thing, image, kinds, box=boxes, crowd=crowd, area=areas)
    scores = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    found = st.builds(thing, image, st.sampled_from(range(len(SPACE))), box=boxes, score=scores)
    return Case(
        sizes,
        draw(st.lists(image, min_size=1, unique=True)),
        draw(st.lists(st.tuples(objects, forms), max_size=6)),
        draw(st.lists(found, max_size=8)),
        draw(st.permutations(range(len(sizes)))),
    )


def _detection(
    rng: Generator, thing: Thing, size: tuple[int, int], ties: bool, label: int
) -> Thing:
    """Near an object: on it, some pixels off, or some tenths of a pixel."""
    off = rng.choice([0.0, 1.0, 4.0, 0.3]) * rng.standard_normal(4)
    steps = off if rng.integers(2) else off.round()
    # In eighths of a pixel, so that corners and sides are the same numbers in 32 bits.
    x, y, w, h = np.round((np.array(thing.box) + steps) * 8) / 8
    box = (float(x), float(y), float(max(w, 0)), float(max(h, 0)))
    score = rng.integers(0, 5) / 4 if ties else np.float32(rng.random())
    mask = paint(box, size, bool(rng.integers(2)))
    return Thing(thing.image, label, box, mask, score=float(score))
