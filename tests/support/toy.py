"""Toy teachers: small enough to build in milliseconds, of every shape that a real one has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kivfm_core.predictions import ClassLogits, SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import Attachment, InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_core.task import LabeledImages, LabelFormat, Meter, TaskRecord

WIDTH = 48


class ToyBase(nn.Module):
    """A patch embedding, two mixing blocks of tokens with one prefix token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, 8, stride=8)
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x):
        x = self.embed(x)
        grid = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
        for block in self.blocks:
            tokens = tokens + torch.tanh(block(tokens))
        dense = tokens[:, 1:].transpose(1, 2).unflatten(2, grid)
        return {"global": tokens[:, 0], "dense": dense}


class ToyPurpose(nn.Module):
    """Two dense levels of different stride and a very large magnitude, and a global one."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 24, 4, stride=4)
        self.coarse = nn.Conv2d(24, 40, 4, stride=4)

    def forward(self, x):
        fine = torch.relu(self.fine(x)) * 50
        coarse = self.coarse(fine)
        return {"fine": fine, "coarse": coarse, "global": coarse.mean((2, 3))}


class ToyClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(40, 3)

    def forward(self, levels, prompt):
        return ClassLogits(self.head(levels["global"]))


class ToySegmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(24, 3, 1)

    def forward(self, levels, prompt):
        return SemanticLogits(self.head(levels["fine"]))

    def readout(self, levels):
        return [Readout(self.head(levels["fine"]).movedim(1, -1), "choice")]


@dataclass(frozen=True)
class Brightness:
    """The prediction type of the toy task: how bright each image is, `values [B]` in [0, 1]."""

    values: Tensor

    def to_original(self, frames):
        return self.values.tolist()

    def numbers(self):
        return list(self.values)


class ToyLightMeter(nn.Module):
    """The decoder of the toy task."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(40, 1)

    def forward(self, levels, prompt):
        return Brightness(self.head(levels["global"])[:, 0].sigmoid())


class ToyDazzled(ToyLightMeter):
    """A decoder whose predictions lie outside what the toy task allows."""

    def forward(self, levels, prompt):
        return Brightness(super().forward(levels, prompt).values + 7)


class BrightnessError(Meter):
    """The meter of the toy task: 1 - the mean distance."""

    def __init__(self, data, classes) -> None:
        self.data, self.distances = data, []

    def update(self, predictions, indices, frames):
        for index, value in zip(indices, predictions.to_original(frames), strict=True):
            self.distances.append(abs(value - self.data.values[index]))

    def compute(self):
        return 1 - sum(self.distances) / len(self.distances)


@dataclass(frozen=True)
class BrightnessData(LabeledImages):
    """What the toy label format holds."""

    paths: tuple[Path, ...]
    values: tuple[float, ...]

    def pick(self, indices):
        return BrightnessData(
            tuple(self.paths[i] for i in indices), tuple(self.values[i] for i in indices)
        )


def read_brightness(path):
    """The toy label format: `brightness.json`, `{file name: brightness}`, beside the images."""
    file = path / "brightness.json"
    if not file.is_file():
        return None
    values = json.loads(file.read_text())
    return BrightnessData(tuple(path / name for name in values), tuple(values.values()))


def draw_brightness(drawing, found, names, points):
    drawing.lines([f"brightness {found:.2f}"])
    return [{"brightness": found}]


def check_brightness(predictions, classes):
    inside = ((predictions.values >= 0) & (predictions.values <= 1)).all()
    return "" if inside else "a brightness is not in [0, 1]"


BRIGHTNESS = TaskRecord(
    name="brightness",
    short="bright",
    summary="How bright an image is.",
    prediction="toy:Brightness",
    formats=(
        LabelFormat(
            name="light", read="toy:read_brightness", needs="brightness.json beside the images"
        ),
    ),
    metric="closeness",
    meter="toy:BrightnessError",
    kind="lights",
    draw="toy:draw_brightness",
    check="toy:check_brightness",
)


def base(spec):
    return ToyBase()


def light_meter(spec):
    return ToyLightMeter()


def dazzled(spec):
    return ToyDazzled()


def purpose(spec):
    return ToyPurpose()


def classifier(spec):
    return ToyClassifier()


def segmenter(spec):
    return ToySegmenter()


def split(spec, state):
    """States are saved as `PART.KEY`."""
    parts: dict[str, dict] = {"encoder": {}}
    for key, value in state.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = value
    return parts


LABELS = ("background", "disc", "square")

BASE = TeacherSpec(
    name="toybase/small",
    aliases=("toybase",),
    role="general",
    encoder="toy:base",
    levels=(
        Level(name="global", kind="global", channels=WIDTH),
        Level(name="dense", kind="dense", channels=WIDTH, stride=8),
    ),
    input=InputContract(policy="short-side-crop", size=64, multiple=8),
    attachments=tuple(
        Attachment(module=f"blocks.{i}", channels=WIDTH, layout="NLC", stride=8, prefix_tokens=1)
        for i in range(2)
    ),
    weights=Weights(source="run:toy", split="toy:split", license="MIT", commercial_use="yes"),
    code_license="MIT",
    parameters=sum(p.numel() for p in ToyBase().parameters()),
)
PURPOSE = TeacherSpec(
    name="toypurpose/small",
    aliases=("toypurpose",),
    encoder="toy:purpose",
    levels=(
        Level(name="fine", kind="dense", channels=24, stride=4),
        Level(name="coarse", kind="dense", channels=40, stride=16),
        Level(name="global", kind="global", channels=40),
    ),
    input=InputContract(policy="letterbox", size=96, multiple=16, channel_order="BGR", scale=255),
    tasks=(
        TaskSpec(
            task="classification",
            levels=("global",),
            decoder="toy:classifier",
            part="classes",
            labels=LABELS,
        ),
        TaskSpec(
            task="semantic-segmentation",
            levels=("fine",),
            decoder="toy:segmenter",
            part="pixels",
            labels=LABELS,
        ),
    ),
    weights=Weights(
        source="run:toy", split="toy:split", license="CC-BY-NC-4.0", commercial_use="no"
    ),
    code_license="MIT",
    parameters=sum(p.numel() for p in ToyPurpose().parameters()),
)

# A teacher of the toy task, which a plugin has to register.
LAMP = PURPOSE.model_copy(
    update={
        "name": "toylamp/small",
        "aliases": ("toylamp",),
        "tasks": (
            TaskSpec(
                task="brightness", levels=("global",), decoder="toy:light_meter", part="light"
            ),
        ),
    }
)


def save(spec: TeacherSpec, path, seed: int | None = None) -> None:
    """Writes random weights of a toy teacher in its own upstream format."""
    from safetensors.torch import save_file

    from kivfm_core.teacher import LoadedTeacher

    torch.manual_seed(len(spec.name) if seed is None else seed)
    teacher = LoadedTeacher(spec)
    state = {f"encoder.{k}": v for k, v in teacher.encoder.state_dict().items()}
    for name, part in teacher.decoders.parts.items():
        state |= {f"{name}.{k}": v for k, v in part.state_dict().items()}
    save_file(state, path)
