"""Search in a file of features: the images nearest to an image or to a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kivfm_core.data.images import is_image_file
from kivfm_core.embedding.kind import Content
from kivfm_core.embedding.latent import Part, image_vector, is_latent, text_vector
from kivfm_core.embedding.table import file_kind
from kivfm_core.errors import DataError, KivfmError, UsageError, printable
from kivfm_core.loaded.load import LoadedModel, load
from kivfm_core.models.model import Model
from kivfm_core.runs.run import Run
from kivfm_core.teacher import Levels

# The task whose decoder compares images with texts.
TEXT_TASK = "zero-shot"


@dataclass(frozen=True)
class Hit:
    """An image that was found.

    Attributes:
        file: Its path, as the index has it.
        score: Cosine similarity; for a text and a teacher's vectors, its decoder's logit.
    """

    file: str
    score: float


# Eight parameters, as the command has flags; most calls give three.
def nearest(
    model: str | Path | Run | Model,
    index: str | Path,
    query: str | Path,
    *,
    k: int = 10,
    box: Sequence[float] | None = None,
    mask: str | Path | None = None,
    weights: str | Path | None = None,
    accelerator: str = "auto",
) -> list[Hit]:
    """Finds the images in a file of features that are nearest to an image or a text.

    Args:
        model: The model that made the file.
        index: A file that `embed` wrote.
        query: An image's file, or a text.
        k: How many to find.
        box: Search for this part of the image, `(x0, y0, x1, y1)` in its pixels; for files that
            were written with `latent`.
        mask: Search for what is not black in this image, of the same size; likewise.
        weights: A file for a teacher's weights, in place of its own source.
        accelerator: Where the encoder computes, as in `engine.accelerator`.

    Returns:
        The nearest first.

    Raises:
        UsageError: If another model made the file; a text is given and the vectors cannot be
            compared with texts; or a part, and they are not what all teachers share, or the image
            has no such part.
        DataError: If the file holds no features, or an image cannot be decoded.
    """
    if not str(query).strip():
        raise UsageError("there is nothing to search for", "--query photo.jpg, or a text")
    content = read_index(Path(index))
    loaded = load(model, accelerator=accelerator, weights=weights)
    _check_same(loaded, content.manifest, index)
    scores = _scores(loaded, content, query, Part(box, mask))
    order = best(scores, k)
    return [Hit(str(content.names[i]), float(scores[i])) for i in order.tolist()]


def _scores(model: LoadedModel, content: Content, query: str | Path, part: Part) -> NDArray[Any]:
    """How near each vector is to an image, a part of one, or a text."""
    latent = is_latent(model.model, content.manifest)
    is_image = isfile(query)  # unlike a path's own method, it takes a text of any length
    if not is_image and is_image_file(str(query)):
        raise UsageError(f"there is no {printable(query)}", "an image's file, or a text")
    if not part.is_whole and not latent:
        hint = "kivfm embed MODEL IMAGES --latent -o FILE"
        raise UsageError("a box or mask is compared with what all teachers share", hint)
    if not part.is_whole and not is_image:
        raise UsageError("a text has no box and no mask", "--query photo.jpg")
    if not is_image and not latent:
        return text_scores(model, content, str(query))
    if not is_image:
        vector = text_vector(model.model, str(query))
    elif latent:
        vector = image_vector(model.model, query, part)
    else:
        vector = model.features(query, teacher=content.manifest["teacher"], maps=False).vector[0]
    return similarities(content.vectors, vector.numpy())


def similarities(vectors: NDArray[Any], query: NDArray[Any]) -> NDArray[Any]:
    """Cosine similarities of vectors `[N, D]` to one `[D]`; 0 for a vector of zeros."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors)) * np.linalg.norm(query)
    return vectors @ query / np.maximum(lengths, np.finfo(np.float32).tiny)


def best(scores: NDArray[Any], k: int) -> NDArray[Any]:
    """The places of the k highest scores, the highest first."""
    k = min(k, len(scores))
    top = np.argpartition(-scores, k - 1)[:k]
    return top[np.argsort(-scores[top], kind="stable")]


def text_scores(model: LoadedModel, content: Content, text: str) -> NDArray[Any]:
    """The zero-shot decoder's logits of all vectors for one text.

    Raises:
        UsageError: If the vectors are not what such a decoder reads.
    """
    # A teacher's own features are its levels.
    name = str(content.manifest["teacher"] or model.spec.name)
    level = content.manifest["level"]
    reads = {s.name: t.levels for s in model.model.specs for t in s.tasks if t.task == TEXT_TASK}
    if reads.get(name) != (level,):
        hint = f"embed with: --teacher {next(iter(reads))}" if reads else "give an image's file"
        raise UsageError("these vectors cannot be compared with a text", hint)
    solver = model.model.solver(name)
    prompt = solver.prompt(TEXT_TASK, labels=[text])
    vectors = np.require(content.vectors, requirements="W")  # torch takes no read-only array
    levels = Levels({level: torch.from_numpy(vectors)}, [])
    found: Any = solver.decode(TEXT_TASK, levels, prompt)
    return found.logits[:, 0].numpy()


def read_index(file: Path) -> Content:
    """Reads names, vectors and manifest of a file that `embed` wrote.

    Raises:
        DataError: If there is no such file, or it holds no features.
    """
    kind = file_kind(file)
    try:
        with file.open("rb") as opened:
            content = kind.read(opened)
        _check(content)
    except (MemoryError, KivfmError, OSError):
        raise
    # A malicious file can make a reader raise anything.
    except Exception as error:
        raise DataError(
            f"{printable(file)} holds no features: {printable(str(error))}",
            "kivfm embed MODEL FOLDER -o FILE writes them",
        ) from error
    return content


def _check(content: Content) -> None:
    manifest, vectors = content.manifest, content.vectors
    if not isinstance(manifest, dict) or manifest.get("schema") != 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("it has no manifest of schema 1")
    for key, kinds in {"sha256": str, "level": str, "teacher": (str, type(None))}.items():
        if not isinstance(manifest.get(key, 0), kinds):
            raise ValueError(f"its manifest has no {key}")
    if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(content.names):
        raise ValueError("its vectors do not fit its names")
    if not all(isinstance(name, str) for name in content.names):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("its names are no text")


def _check_same(model: LoadedModel, manifest: Mapping[str, Any], index: str | Path) -> None:
    if model.model.sha256 != manifest["sha256"]:
        raise UsageError(
            f"{printable(index)} was not made by {printable(model.model.name)}",
            f"give the model that made it: {printable(str(manifest.get('model')))}",
        )
