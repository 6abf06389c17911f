"""Finds weights on this machine. Torch-free, since the list of teachers shows it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from kivfm_core.files import hub_cache, library_cache


class HubPath(NamedTuple):
    """What an `hf:` source names.

    Attributes:
        repository: `ORG/NAME`.
        revision: The commit, tag or branch that is pinned, if any.
        file: The path in the repository; empty for the repository itself.
    """

    repository: str
    revision: str | None
    file: str

    @classmethod
    def of(cls, source: str) -> HubPath:
        """The parts of `hf:ORG/NAME[@REVISION][/FILE]`."""
        org, name, *file = source.removeprefix("hf:").split("/", 2)
        name, _, revision = name.partition("@")
        return cls(f"{org}/{name}", revision or None, "".join(file))


def locate(source: str) -> Path | None:
    """The local file of a weights source, or None if it must be fetched.

    Args:
        source: `package:NAME/PATH`, `hf:ORG/NAME[@REVISION]/FILE`, `torch:FILE` or `run:FOLDER`.
    """
    kind, _, rest = source.partition(":")
    if kind == "package":
        package, _, path = rest.partition("/")
        spec = find_spec(package)
        roots = spec.submodule_search_locations or [] if spec else []
        found = [Path(root, path) for root in roots]
    elif kind == "hf":
        found = _in_hub_cache(HubPath.of(source))
    elif kind == "torch":
        found = [torch_cache() / rest]
    else:
        found = [Path(rest)]
    return next((path for path in found if path.exists()), None)


def _in_hub_cache(path: HubPath) -> list[Path]:
    """The places of a file in the hub library's cache: of the pinned revision, or of any."""
    folder = hub_cache() / f"models--{path.repository.replace('/', '--')}"
    if path.revision is None:
        return sorted((folder / "snapshots").glob(f"*/{path.file}"))
    # A tag or branch is a file that holds its commit; a commit is the snapshot's own name.
    named = folder / "refs" / path.revision
    commit = named.read_text("utf-8").strip() if named.is_file() else path.revision
    return [folder / "snapshots" / commit / path.file]


def torch_cache() -> Path:
    """torch.hub's checkpoint folder, by its own rules."""
    return library_cache("TORCH_HOME", "torch") / "hub" / "checkpoints"
