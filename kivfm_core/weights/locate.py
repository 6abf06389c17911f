"""Finds weights on this machine. Torch-free, since the list of teachers shows it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from kivfm_core.files import hub_cache, library_cache


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


def torch_cache() -> Path:
    """torch.hub's checkpoint folder, by its own rules."""
    return library_cache("TORCH_HOME", "torch") / "hub" / "checkpoints"
