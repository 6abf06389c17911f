"""The kinds of files that hold features, by the ending of a name. Torch-free."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import cast

from kivfm_core.embedding.kind import FileKind
from kivfm_core.errors import KivfmError, UsageError, printable
from kivfm_core.reference import resolve_reference

# A kind, and the extra of kivfm that it needs with the module in it.
KINDS: dict[str, tuple[str, tuple[str, str] | None]] = {
    ".parquet": ("kivfm_core.embedding.parquet:PARQUET", ("parquet", "pyarrow")),
    ".npz": ("kivfm_core.embedding.npz:NPZ", None),
    ".safetensors": ("kivfm_core.embedding.tensors:SAFETENSORS", None),
}


def file_kind(file: Path) -> FileKind:
    """The kind of a file, by its ending.

    Raises:
        UsageError: If there is no such kind.
        KivfmError: If the extra that it needs is not installed.
    """
    found = KINDS.get(file.suffix.lower())
    if found is None:
        ends = ", ".join(KINDS)
        raise UsageError(
            f"{printable(file)} does not end in one of {ends}", f"-o {file.stem}.parquet"
        )
    reference, extra = found
    if extra is not None and find_spec(extra[1]) is None:
        name, package = extra
        raise KivfmError(f"{package} is not installed", f"pip install 'kivfm[{name}]'")
    return cast(FileKind, resolve_reference(reference))
