"""Search over what teachers share: images that show a thing, by its name or by a box around it.

    python -m benchmarks.joint.search RUN --data LABELED [--limit N]

RUN is of a recipe with a shared head, and has a teacher of words. LABELED has boxes. A query is the
name of a class, or the largest object of an image. All images, but the query's own, are ranked; an
image is right if it shows the class. A query's score is the average precision of its ranking, and
chance is the share of right images. Beside the names: the teacher of words, by its own vectors of
images. Beside the boxes: the whole image as the query. Intervals are of draws of queries, the same
for all ways of asking.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.common import machine, table, write_results
from benchmarks.heads.heads import load_labels
from kivfm_core.composition.words import word_source, word_specs
from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.embedding.latent import Part, image_vector, text_vector
from kivfm_core.embedding.nearest import TEXT_TASK, similarities
from kivfm_core.evaluation.bootstrap import draw_means, interval
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import RunModel
from kivfm_core.teacher import Levels

Scores = NDArray[np.float64]
CHANCE = "chance"


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint.search", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    run = cast(RunModel, open_model(args.run, "cpu"))
    data = load_labels("detection", args.data)
    paths = data.paths[: args.limit]
    objects = [data.objects(index, data.classes) for index in range(len(paths))]
    shows = np.zeros((len(data.classes), len(paths)), bool)
    for index, found in enumerate(objects):
        shows[[label for label, _ in found], index] = True
    with torch.no_grad():
        vectors = _stack(image_vector(run, path, Part()) for path in paths)
        rows = [
            *_by_name(run, data.classes, paths, vectors, shows),
            *_by_box(run, paths, vectors, objects, shows),
        ]
    facts = {"run": args.run, "images": len(paths), "rows": rows}
    print(write_results("joint.search", {"machine": machine(), **facts}, page))


def _by_name(
    run: RunModel, classes: Sequence[str], paths: Sequence[Any], vectors: Scores, shows: Scores
) -> list[dict[str, Any]]:
    """Names against the student's vectors, and against those of the teacher of words."""
    asked = [c for c in range(len(classes)) if 0 < shows[c].sum() < len(paths)]
    texts = _stack(text_vector(run, classes[c]) for c in asked)
    (spec,) = word_specs(run.composition)
    name = word_source(spec)[0]
    logits = _logits(run.teacher(name), paths, [classes[c] for c in asked])
    right = [shows[c] for c in asked]
    by = {
        "the student": [similarities(vectors, text) for text in texts],
        name: [*logits],
    }
    return _rows("a name", by, right)


def _logits(teacher: Any, paths: Sequence[Any], labels: Sequence[str]) -> Scores:
    """How well each label fits each image, `[labels, N]`, by the teacher of words alone."""
    prompt = teacher.prompt(TEXT_TASK, labels=list(labels))
    found: list[Tensor] = []
    for path in paths:
        canvas, frames = make_canvases([to_tensor(open_image(path))], teacher.spec.input)
        levels = Levels(teacher.encode(canvas, frames), frames)
        found.append(teacher.decode(TEXT_TASK, levels, prompt).logits[0])
    return torch.stack(found, 1).double().numpy()


def _by_box(
    run: RunModel, paths: Sequence[Any], vectors: Scores, objects: Sequence[Any], shows: Scores
) -> list[dict[str, Any]]:
    """Boxes, and the whole images that they are in, against the student's vectors."""
    asked: list[Scores] = []
    by: dict[str, list[Scores]] = {"the student, the box": [], "the student, the whole image": []}
    for index, found in enumerate(objects):
        if not found:
            continue
        label, item = max(found, key=lambda pair: pair[1]["bbox"][2] * pair[1]["bbox"][3])
        others = np.arange(len(paths)) != index
        if not shows[label, others].any() or shows[label, others].all():
            continue
        x, y, w, h = item["bbox"]
        box = image_vector(run, paths[index], Part((x, y, x + w, y + h))).numpy()
        asked.append(shows[label, others])
        for way, query in zip(by, (box, vectors[index]), strict=True):
            by[way].append(similarities(vectors[others], query))
    return _rows("a box", by, asked)


def _rows(
    query: str, by: Mapping[str, Sequence[Scores]], right: Sequence[Scores]
) -> list[dict[str, Any]]:
    """The mean over queries of each way of asking, with its interval; chance comes first."""
    each = {CHANCE: np.array([one.mean() for one in right])}
    for way, scores in by.items():
        pairs = zip(right, scores, strict=True)
        each[way] = np.array([average_precision_score(true, own) for true, own in pairs])
    return [
        {
            "query": query, "by": way, "queries": len(right), "value": float(values.mean()),
            "interval": interval(draw_means(values), float(values.mean())),
        }
        for way, values in each.items()
    ]  # fmt: skip


def _stack(vectors: Any) -> Scores:
    return torch.stack(list(vectors)).numpy()


def page(record: Mapping[str, Any]) -> list[str]:
    """The table, with what it means."""
    rows = [
        [
            f"{row['query']}, {row['queries']} queries", row["by"],
            f"{row['value']:.3f} [{row['interval'][0]:.3f}, {row['interval'][1]:.3f}]",
        ]
        for row in record["rows"]
    ]  # fmt: skip
    return [
        "# Search over what teachers share",
        "",
        f"`{record['run']}`, {record['images']} labeled images; the mean average precision over "
        "queries. Brackets: 95 % intervals, of draws of queries.",
        "",
        *table("asked by | of | average precision", rows),
        "",
    ]


if __name__ == "__main__":
    main()
