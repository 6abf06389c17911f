"""Finds weights on this machine. Torch-free, since the list of teachers shows it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def locate(source: str) -> Path | None:
    """The local file of a weights source, or None if it must be fetched.

    Args:
        source: `package:NAME/PATH`, `hf:ORG/NAME/FILE`, `torch:FILE` or `run:FOLDER`.
    """
    kind, _, rest = source.partition(":")
    if kind == "package":
        package, _, path = rest.partition("/")
        spec = find_spec(package)
        roots = spec.submodule_search_locations or [] if spec else []
        found = [Path(root, path) for root in roots]
    elif kind == "hf":
        org, name, file = rest.split("/", 2)
        found = sorted((hub_cache() / f"models--{org}--{name}" / "snapshots").glob(f"*/{file}"))
    elif kind == "torch":
        found = [torch_cache() / rest]
    else:
        found = [Path(rest)]
    return next((path for path in found if path.exists()), None)


def _home(variable: str, default: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get(variable, f"{root}/{default}")).expanduser()


def hub_cache() -> Path:
    """The hub library's cache folder, by its own rules."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    return _home("HF_HOME", "huggingface") / "hub"


def torch_cache() -> Path:
    """torch.hub's checkpoint folder, by its own rules."""
    return _home("TORCH_HOME", "torch") / "hub" / "checkpoints"
