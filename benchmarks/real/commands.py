"""The commands: which teachers are distilled, and what the student is measured on."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

# Their files in the assets' `weights/`.
BASE = {
    "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k": (
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth"
    ),
}
SEGMENTER = {"deeplab/mnv2-voc": "deeplabv3_mnv2.voc21.pth"}
# The base comes first.
TEACHERS = {**BASE, "yolox/nano": "yolox_nano.coco80.pth", **SEGMENTER}
# One more, beside which the base is measured as a classifier.
CLASSIFIER = {"torchvision/squeezenet1_0": "squeezenet1_0.deepcompression_in1k.torchvision.pth"}
# With boxes and masks from one teacher: four tasks.
FOUR_TASKS = {**BASE, "yolov8/n-seg": "yolov8n_seg.coco80.pth", **SEGMENTER, **CLASSIFIER}

# Tasks, and the kind of images that each is measured on.
MEASURED = (
    ("classification", "held-out"),
    ("detection", "coco_val"),
    ("detection", "coco_val_boxes"),
    ("semantic-segmentation", "coco_val"),
)
MASKS = ("instance-segmentation", "coco_val")


def parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """What the calls share.

    Args:
        module: Its name.
        about: Its docstring.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--assets", type=_folder, default="../shared/assets", help="where they are")
    made.add_argument("--limit", type=int, help="at most so many images a task")
    return made


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(
            f"no {text}: these weights and photos are not part of kivfm"
        )
    return Path(text)


def distilling(
    teachers: Mapping[str, str], weights: Path, pool: Path, run: Path, flags: Sequence[str]
) -> list[str]:
    """The words of `kivfm distill`.

    Args:
        teachers: Their files in `weights`.
        weights: A folder.
        pool: Images.
        run: Where to.
        flags: Further ones.
    """
    files = [
        w for name, file in teachers.items() for w in ("--weights", f"{name}={weights / file}")
    ]
    words = ["distill", "--teachers", ",".join(teachers), *files]
    return [*words, "--data", str(pool), "--out", str(run), *flags]


def evaluating(
    images: Mapping[str, Sequence[Path]],
    data: Path,
    run: Path,
    limit: int | None,
    measured: Sequence[tuple[str, str]] = MEASURED,
) -> list[str]:
    """The words of `kivfm evaluate`.

    Args:
        images: The folders of each kind of `measured`.
        data: The assets' `data/`.
        run: What is measured.
        limit: Images a task, at most.
        measured: Tasks, and the kind of images that each is measured on.
    """
    sources = [f"{task}={folder}" for task, kind in measured for folder in images[kind]]
    sources.append(f"knn={data / 'cifar10' / 'test'}")
    words = ["evaluate", str(run), *(w for source in sources for w in ("--data", source))]
    return words + (["--limit", str(limit)] if limit else [])
