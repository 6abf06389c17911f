"""Access to the model hub: whether it is allowed, its time-out, what it refuses. Torch-free.

The hub's own library is imported when something is downloaded, never for a list or a plan.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from kivfm_core.weights.locate import HubPath

# Seconds that the hub gets for one response.
TIMEOUT = 5.0


# Models that want an agreement, by the start of their repository's name, and a teacher that wants
# none: the same network where there is one, else the nearest.
UNGATED = {
    "facebook/dinov3-convnext-base": "dinov3/convnext-base",
    "facebook/dinov3-convnext-large": "dinov3/convnext-large",
    "facebook/dinov3-convnext-small": "dinov3/convnext-small",
    "facebook/dinov3-convnext-tiny": "dinov3/convnext-tiny",
    "facebook/dinov3-vitl16": "dinov3/vit-l-16",
    "facebook/dinov3-vits16-": "dinov3/vit-s-16",
    "facebook/dinov3-": "dinov3/vit-b-16",
    "facebook/sam3": "sam2",
}


def offline() -> bool:
    """Whether `KIVFM_OFFLINE=1` forbids every access to the hub, and to data at URLs."""
    return os.environ.get("KIVFM_OFFLINE") == "1"


def download_file(source: str) -> Path:
    """Downloads one file into the hub library's cache.

    Args:
        source: `hf:ORG/NAME[@REVISION]/FILE`.
    """
    # Imported when something is downloaded: plans and lists use this module, too.
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    name, revision, file = HubPath.of(source)
    # One request first, without the download's retries of half a minute: without a network this
    # fails at once.
    get_hf_file_metadata(hf_hub_url(name, file, revision=revision), timeout=TIMEOUT)
    return Path(hf_hub_download(name, file, revision=revision, etag_timeout=TIMEOUT))


def download_files(source: str, patterns: Sequence[str]) -> None:
    """Downloads the files of a repository that match patterns into the hub library's cache.

    Args:
        source: `hf:ORG/NAME[@REVISION]`.
        patterns: Such as `*.json`.
    """
    # As in `download_file`.
    from huggingface_hub import HfApi, snapshot_download

    name, pinned, _ = HubPath.of(source)
    # One request first, without the download's retries: without a network this fails at once.
    found = HfApi().model_info(name, revision=pinned, timeout=TIMEOUT)
    # A tag is fetched by its own name, so that the cache knows which commit it means.
    revision = pinned or found.sha
    snapshot_download(name, revision=revision, allow_patterns=[*patterns], etag_timeout=TIMEOUT)


def access_hint(error: Exception, source: str, hint: str, *, gated: bool = False) -> str:
    """The hint of a failed download; if the hub wants an agreement first, where to give it.

    Args:
        error: What the download raised.
        source: What was downloaded.
        hint: What to do otherwise.
        gated: Whether it is known that the repository wants an agreement.
    """
    if not gated and type(error).__name__ != "GatedRepoError":
        return hint
    return f"{ask_for_access(source)}; or {hint}"


def ask_for_access(source: str) -> str:
    """The hint for a model that wants an agreement: where to give it, and what wants none.

    Args:
        source: `hf:ORG/NAME[@REVISION][/FILE]`.
    """
    hint = f"ask for access at {page(source)}, then: hf auth login"
    repository = HubPath.of(source).repository if source.startswith("hf:") else ""
    other = next((name for start, name in UNGATED.items() if repository.startswith(start)), None)
    return f"{hint}; or take {other}, which wants no agreement" if other else hint


def page(source: str) -> str:
    """The web page of a source, where a person asks for access."""
    if not source.startswith("hf:"):
        return "its source"
    # As in `download_file`.
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{HubPath.of(source).repository}"


def why_unreachable() -> str | None:
    """Why the hub cannot be reached; None if it can."""
    results: list[str | None] = []
    # In a thread, since looking up a host name has no time limit of its own.
    request = Thread(target=lambda: results.append(_request()), daemon=True)
    request.start()
    request.join(TIMEOUT)
    return results[0] if results else f"no answer in {TIMEOUT:.0f} s"


def _request() -> str | None:
    # Slow to import, and only `kivfm doctor` needs it.
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    # The hub library's own variable, for example a mirror.
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urlopen(Request(address, method="HEAD"), timeout=TIMEOUT):
            return None
    except HTTPError:
        return None  # It refuses this request, so it can be reached.
    except (OSError, ValueError) as error:
        return str(error)
