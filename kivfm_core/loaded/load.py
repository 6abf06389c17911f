"""Loads a model for use from Python: one line to features, one to a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor, nn

from kivfm_core.data.batches import batched
from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.loaded.backbone import Backbone
from kivfm_core.loaded.features import Features, in_order, viewpoint
from kivfm_core.loaded.pixels import ImageLike, Images, as_list, read_pixels
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.prediction.all_tasks import predict_all
from kivfm_core.prediction.folder import Labeled, predict_folder
from kivfm_core.prediction.predict import choose, predict
from kivfm_core.prediction.result import Prediction
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec


class LoadedModel:
    """A student or a teacher, ready to be used.

    An image is a file, a PIL image, a NumPy array `[H, W, 3]` or `[H, W]`, or a tensor `[3, H, W]`,
    RGB, with bytes or floats in [0, 1]. Several are a list of them, an array `[N, H, W, 3]`, or a
    tensor `[N, 3, H, W]`.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"<{self.model.name}: {', '.join(self.tasks) or 'features'}>"

    @property
    def teachers(self) -> tuple[str, ...]:
        """Full names of the teachers that it stands in for; a teacher has itself."""
        return tuple(spec.name for spec in self.model.specs)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it solves."""
        return tuple(dict.fromkeys(t.task for spec in self.model.specs for t in spec.tasks))

    @property
    def spec(self) -> TeacherSpec:
        """What its own encoder takes and gives: `spec.input`, `spec.levels`."""
        return self.model.encoder.spec

    @property
    def device(self) -> torch.device:
        """Where `module` is."""
        return self.model.device

    @property
    def module(self) -> nn.Module:
        """The plain torch module: normalized canvases `[B, 3, H, W]` to features by name.

        Gradients flow through it. A student gives `x`, `V` and its adapter's maps, a teacher its
        levels. `normalize` makes what it takes; it is on `device`.
        """
        _ = self.model.encoder  # moves it there
        return self.model.network

    def normalize(self, canvases: Tensor) -> Tensor:
        """Normalizes canvases `[B, 3, H, W]` in [0, 1], as `module` takes them."""
        return normalize(canvases, self.spec.input)

    def preprocess(self, images: Images) -> tuple[Tensor, list[Frame]]:
        """Makes the canvases that the model's own encoder expects.

        Args:
            images: One or several, whose canvases must be of one size.

        Returns:
            Canvases `[B, 3, h, w]`, RGB in [0, 1], not normalized, and their frames.

        Raises:
            DataError: If an image cannot be decoded.
            UsageError: If something is no image, or the canvases differ in size.
        """
        pixels = [read_pixels(image) for image in as_list(images)]
        sizes = {plan_frame((x.shape[1], x.shape[2]), self.spec.input).canvas for x in pixels}
        if len(sizes) > 1:
            raise UsageError("the images have canvases of different sizes", "one call for each")
        return make_canvases(pixels, self.spec.input)

    def features(
        self, images: Images, *, teacher: str | None = None, maps: bool = True
    ) -> Features:
        """Computes features of images, without gradient.

        Args:
            images: One or several; any number, in batches.
            teacher: Give this teacher's levels, as the student predicts them, in place of the
                student's own features.
            maps: Give dense maps beside the vectors.

        Raises:
            DataError: If an image cannot be decoded.
            UsageError: If something is no image, there is no such teacher, or maps differ in size.
        """
        seen = viewpoint(self.model, teacher)
        given = as_list(images)
        parts: dict[str, list[tuple[list[int], Tensor]]] = {}
        frames: dict[int, Frame] = {}
        for batch in batched(map(read_pixels, given), seen.encoder.spec.input):
            levels = seen.encoder.encode(batch.images, batch.frames)
            found = {"": seen.vector(levels)}
            if maps:
                found |= {name: levels[name].float().cpu() for name in seen.maps}
            for name, rows in found.items():
                parts.setdefault(name, []).append((batch.indices, rows))
            frames |= dict(zip(batch.indices, batch.frames, strict=True))
        rows = {name: in_order(own) for name, own in parts.items()}
        return Features(rows.pop(""), rows, [frames[i] for i in range(len(given))])

    @overload
    def predict(self, image: ImageLike, task: str, **more: Any) -> Prediction: ...

    @overload
    def predict(self, image: ImageLike, **more: Any) -> list[Prediction]: ...

    def predict(
        self, image: ImageLike, task: str | None = None, **more: Any
    ) -> Prediction | list[Prediction]:
        """Solves a task for one image, in its original pixels; without a task, all of them.

        Args:
            image: The image.
            task: One of `tasks`. Without, it is `predict_all`.
            **more: `teacher`, `labels`, `points`, `threshold` and `out`, as `kivfm_core.predict`
                takes them.

        Raises:
            UsageError: If the model does not solve the task, several of its teachers do, or labels
                or points do not fit it.
            DataError: If the image cannot be decoded.
        """
        if task is None:
            return self.predict_all(image, **more)
        name = choose(self.model.specs, task, more.pop("teacher", None)).name
        return predict(self.model.solver(name), _as_file_or_pil(image), task, **more)

    def predict_all(self, image: ImageLike, **more: Any) -> list[Prediction]:
        """Solves every task whose prompt is given, or that needs none, in one pass.

        Args:
            image: The image.
            **more: As `kivfm_core.predict_all` takes it, such as `labels`, `points`, `out`.
        """
        return predict_all(self.model, _as_file_or_pil(image), **more)

    def predict_folder(
        self, images: str | Path | Sequence[str | Path], task: str, out: str | Path, **more: Any
    ) -> Labeled:
        """Solves a task for many images, and saves the results as labels.

        Args:
            images: A folder, a pattern such as `photos/**/*.jpg`, an image, or several of these.
            task: One of `tasks`.
            out: Folder for the labels.
            **more: As `kivfm_core.predict_folder` takes it, such as `save`, `wanted`, `draw`.
        """
        return predict_folder(self.model, images, task, out, **more)

    def backbone(
        self, maps: Sequence[str] | None = None, out_channels: int | None = None
    ) -> Backbone:
        """Makes a backbone as torchvision's detectors take it.

        Args:
            maps: Names of its dense maps; by default the main one, or all if `out_channels` is
                given.
            out_channels: Channels that every map gets, by a new trainable convolution.

        Raises:
            UsageError: If there is no such map, or maps as they are differ in channels.
        """
        dense = {level.name: level for level in self.spec.levels if level.kind == "dense"}
        main = [self.model.dense_level] if self.model.dense_level else []
        chosen = maps or (list(dense) if out_channels else main)
        unknown = [name for name in chosen if name not in dense]
        if unknown or not chosen:
            raise UsageError(
                f"{self.model.name} has no map {unknown[0]!r}" if unknown else "it has no maps",
                f"one of: {', '.join(dense)}" if dense else "choose a model with dense levels",
            )
        levels = [dense[name] for name in chosen]
        return Backbone(self.module, self.spec.input, levels, out_channels)


def _as_file_or_pil(image: ImageLike) -> str | Path | Image.Image:
    if isinstance(image, str | Path):
        return image
    return Image.fromarray(read_pixels(image).permute(1, 2, 0).numpy())


def load(
    model: str | Path | Run | Model,
    *,
    accelerator: str = "auto",
    weights: str | Path | None = None,
) -> LoadedModel:
    """Loads a model, be it a student or a teacher.

    Args:
        model: A run's folder, a bundle's folder, or a teacher's name.
        accelerator: Where encoders compute, as in `engine.accelerator`; a GPU if CUDA has one.
        weights: A file for a teacher's weights, in place of its own source.

    Returns:
        The model; its weights are loaded when they are first used.

    Raises:
        UsageError: If it is no model, there is no such accelerator, or weights are given for a
            student.
        PluginError: If its plugin is missing or broken.
    """
    return LoadedModel(open_model(model, accelerator, weights))
