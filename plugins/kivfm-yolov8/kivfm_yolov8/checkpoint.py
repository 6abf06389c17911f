"""YOLOv8's weight files: recognized, and brought to the one form that the network has.

Two kinds of file are known, and need no flag:

- upstream's state dictionary, modules by number (`model.22.cv2.0.0.conv.weight`), batch norm apart
  or already folded;
- a file with the names of this network, batch norm folded.

Upstream's own `.pt` files are pickles of modules, which kivfm does not open: the README says how to
make a state dictionary of one.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from kivfm_core.errors import WeightsError
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.folding import fold_batch_norm
from kivfm_core.weights.loading import State
from kivfm_yolov8.head import BINS
from kivfm_yolov8.plugin import SIZES

BN_EPS = 1e-3  # upstream's, not torch's default
# As long as the first layer has channels, and the classifier classes.
FIRST, LAST = "stem.conv.bias", "cls.0.2.bias"
# Upstream's module, and its name here; numbers that are not listed have no weights.
MODULES = {
    "0": "stem",
    "1": "stage2.0",
    "2": "stage2.1",
    "3": "stage3.0",
    "4": "stage3.1",
    "5": "stage4.0",
    "6": "stage4.1",
    "7": "stage5.0",
    "8": "stage5.1",
    "9": "stage5.2",
    "12": "top4",
    "15": "top3",
    "16": "down3",
    "18": "out4",
    "19": "down4",
    "21": "out5",
    "22.cv2": "box",
    "22.cv3": "cls",
    "22.cv4": "mask",
    "22.proto.cv1": "proto.0",
    "22.proto.upsample": "proto.1",
    "22.proto.cv2": "proto.2",
    "22.proto.cv3": "proto.3",
}
# What is inside upstream's modules.
PARTS = (
    (r"^stage5\.2\.cv1\.", "stage5.2.reduce."),
    (r"\.m\.(\d+)\.cv1\.", r".chain.\1.a."),
    (r"\.m\.(\d+)\.cv2\.", r".chain.\1.b."),
    (r"\.cv1\.", ".split."),
    (r"\.cv2\.", ".join."),
)
HEAD = ("box.", "cls.", "mask.", "proto.")
BINS_KEY = "22.dfl.conv.weight"


def split(spec: TeacherSpec, state: State) -> dict[str, State]:
    """Gives the encoder and the head their states, whichever known kind of file this is.

    Raises:
        WeightsError: If it is another size, has masks where none are read, or other classes.
        ValueError: If it is neither kind of file.
    """
    state = {re.sub(r"^(model\.)+", "", key): value for key, value in state.items()}
    if "0.conv.weight" in state:
        _check_bins(state.pop(BINS_KEY, None))
        state = {rename(key): value for key, value in fold_batch_norm(state, BN_EPS).items()}
    if FIRST not in state:
        raise ValueError("it has neither upstream's keys nor those of this network")
    _check_teacher(spec, state)
    head = {key: value for key, value in state.items() if key.startswith(HEAD)}
    return {"encoder": {k: v for k, v in state.items() if k not in head}, "head": head}


def rename(key: str) -> str:
    """Upstream's key to this network's; one of a module that is not known stays."""
    found = re.match(r"22\.proto\.\w+|22\.cv\d|\d+", key)
    if found is None or found[0] not in MODULES:
        return key
    key = MODULES[found[0]] + key[found.end() :]
    for pattern, name in PARTS:
        key = re.sub(pattern, name, key)
    return key


def _check_teacher(spec: TeacherSpec, state: State) -> None:
    """Refuses another teacher's weights, with what to do instead."""
    widths = {size.widths[0]: name for name, size in SIZES.items()}
    size = widths.get(state[FIRST].numel())
    if size is None:
        raise ValueError(f"its first layer has {state[FIRST].numel()} channels, as no YOLOv8 has")
    name = f"yolov8/{size}-seg" if "mask.0.2.bias" in state else f"yolov8/{size}"
    if name != spec.name:
        also = ", which detects, too" if name == f"{spec.name}-seg" else ""
        raise WeightsError(
            f"these are the weights of {name}, not of {spec.name}",
            f"--weights {name}=FILE, and name the teacher {name}{also}",
        )
    classes = state[LAST].numel()
    if classes != spec.config["classes"]:
        raise WeightsError(
            f"these weights of {name} have {classes} classes, not COCO's {spec.config['classes']}",
            "pass weights that were trained on COCO",
        )


def _check_bins(weights: Tensor | None) -> None:
    """Refuses other distances than 0, 1, ..., which the head has without weights."""
    if weights is not None and not torch.equal(
        weights.flatten().float(), torch.arange(BINS, dtype=torch.float32)
    ):
        raise ValueError(f"{BINS_KEY} is not 0 to {BINS - 1}")
