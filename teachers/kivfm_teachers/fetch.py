"""Fetches weights that lie at a plain address, into torch.hub's cache."""

from __future__ import annotations

from pathlib import Path
from urllib.request import Request, urlopen

from kivfm_core.errors import WeightsError, printable
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.locate import torch_cache

# Seconds that the server gets to answer.
TIMEOUT = 5.0
# Nothing else is opened: a `file:` or `data:` address would name what is no download.
SCHEMES = ("https://",)


def from_url(spec: TeacherSpec) -> Path:
    """Downloads `config["url"]` to where `torch:FILE` is looked for.

    Raises:
        WeightsError: If the address is not https.
        OSError: At once if the server cannot be reached: torch.hub has no timeout of its own.
    """
    from torch.hub import HASH_REGEX, download_url_to_file

    url: str = spec.config["url"]
    if not url.startswith(SCHEMES):
        raise WeightsError(f"{spec.name}: its weights are at {printable(url)}, which is not https")
    with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT):
        pass
    target = torch_cache() / spec.weights.source.removeprefix("torch:")
    target.parent.mkdir(parents=True, exist_ok=True)
    found = HASH_REGEX.search(target.name)  # the start of the SHA-256, in torchvision's names
    download_url_to_file(url, str(target), hash_prefix=found.group(1) if found else None)
    return target
