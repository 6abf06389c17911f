"""Fetches weights that lie at a plain address, into torch.hub's cache."""

from __future__ import annotations

from pathlib import Path
from urllib.request import Request, urlopen

from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.locate import torch_cache

TIMEOUT = 5.0


def from_url(spec: TeacherSpec) -> Path:
    """Downloads `config["url"]` to where `torch:FILE` is looked for.

    Raises:
        OSError: At once if the server cannot be reached: torch.hub has no timeout of its own.
    """
    from torch.hub import HASH_REGEX, download_url_to_file

    url: str = spec.config["url"]
    with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT):
        pass
    target = torch_cache() / spec.weights.source.removeprefix("torch:")
    target.parent.mkdir(parents=True, exist_ok=True)
    found = HASH_REGEX.search(target.name)  # the start of the SHA-256, in torchvision's names
    download_url_to_file(url, str(target), hash_prefix=found.group(1) if found else None)
    return target
