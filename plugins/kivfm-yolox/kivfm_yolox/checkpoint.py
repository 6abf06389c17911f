"""YOLOX's weight files: fetched, recognized, and brought to the one form that the network has.

Three kinds of file are known, and need no flag:

- upstream's present models (release 0.1.1rc0): BGR in 0..255, batch norm apart;
- upstream's legacy models (release 0.0.1), same keys: RGB, ImageNet's mean and standard deviation;
- the folded nano file, keys of its own: legacy input, batch norm folded into the convolutions.

The input contract is the present one. A legacy file's normalization moves into its first layer: the
standard deviation and the order of channels into the weights, the mean into `Focus.center`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.request import urlopen

from torch import Tensor

from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.folding import fold_batch_norm
from kivfm_core.weights.loading import State
from kivfm_core.weights.locate import torch_cache

RELEASE = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"
TIMEOUT = 8  # seconds that the server gets to respond
BN_EPS = 1e-3  # upstream's, not torch's default
STEM = "backbone.stem"
FIRST = f"{STEM}.conv.conv.weight"
LEGACY_MEAN, LEGACY_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FOLDED_NAMES = (
    (r"^stem\.", "backbone.stem.conv."),
    (r"^dark", "backbone.dark"),
    (r"^lat0", "lateral_conv0"),
    (r"^red1", "reduce_conv1"),
    (r"^(p[34]|n[34])\.", r"C3_\1."),
    (r"^bu([12])", r"bu_conv\1"),
    (r"\.c([123])\.", r".conv\1."),
    (r"\.a\.", ".conv1."),
    (r"\.b\.", ".conv2."),
    (r"(dark\d\.0|\.conv2|bu_conv\d|_convs\.\d\.\d)\.0\.", r"\1.dconv."),
    (r"(dark\d\.0|\.conv2|bu_conv\d|_convs\.\d\.\d)\.1\.", r"\1.pconv."),
)
HEAD = ("stems.", "cls_convs.", "reg_convs.", "cls_preds.", "reg_preds.", "obj_preds.")


def fetch(spec: TeacherSpec) -> Path:
    """Downloads upstream's released file into torch's hub cache."""
    path = torch_cache() / f"yolox_{spec.variant}.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with urlopen(f"{RELEASE}/{path.name}", timeout=TIMEOUT) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
    return part.rename(path)


def split(spec: TeacherSpec, state: State) -> dict[str, State]:
    """Gives the encoder and the head their states, whichever known kind of file this is."""
    if "backbone.backbone.stem.conv.conv.weight" in state:
        named = {re.sub(r"^backbone\.", "", key): value for key, value in state.items()}
        legacy = is_legacy(named)
        named = fold_batch_norm(named, BN_EPS)
    elif "stem.conv.weight" in state:
        named, legacy = {rename(key): value for key, value in state.items()}, True
    else:
        raise ValueError("it has neither upstream's keys nor those of the folded nano file")
    named |= fold_input(named[FIRST], legacy)
    head = {key.removeprefix("head."): v for key, v in named.items() if key.startswith("head.")}
    return {"encoder": {k: v for k, v in named.items() if not k.startswith("head.")}, "head": head}


def rename(key: str) -> str:
    """The folded nano file's key to this network's."""
    for pattern, name in FOLDED_NAMES:
        key = re.sub(pattern, name, key)
    return f"head.{key}" if key.startswith(HEAD) else key


def is_legacy(state: State) -> bool:
    """Whether a file with upstream's keys was trained on normalized pixels.

    The first batch norm has measured the second moment of the first convolution's output. By
    Cauchy-Schwarz it is at most the weights' squared norm times that of a patch: 108 numbers,
    about 1 each when normalized, above 10,000 each when in 0..255.
    """
    moment = state[f"{STEM}.conv.bn.running_var"] + state[f"{STEM}.conv.bn.running_mean"] ** 2
    norm = state[FIRST].flatten(1).square().sum(dim=1)
    return bool((moment / norm).max() < 1000)


def fold_input(weight: Tensor, legacy: bool) -> dict[str, Tensor]:
    """The first layer for BGR in 0..255, from weights `[o, 12, 3, 3]` for either input."""
    if not legacy:
        return {f"{STEM}.center": weight.new_zeros(3)}
    mean, std = (255 * weight.new_tensor(x).flip(0) for x in (LEGACY_MEAN, LEGACY_STD))
    quarters = weight.unflatten(1, (4, 3)).flip(2) / std.view(3, 1, 1)
    return {FIRST: quarters.flatten(1, 2), f"{STEM}.center": mean}
