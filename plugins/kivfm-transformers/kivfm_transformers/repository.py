"""Where a model's files are: in a folder of the hub's own format, on the hub, or in its cache."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo, hf_hub_download, metadata_load
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

from kivfm_core.errors import UsageError, WeightsError
from kivfm_core.spec import NAME
from kivfm_core.weights.hub import TIMEOUT, ask_for_access, offline
from kivfm_core.weights.locate import locate

FILES = ("model.safetensors", "pytorch_model.bin")
SAVE = "save the model, in one file, and its image processor with save_pretrained"
# Where a repository's file is on this machine; None if the repository has no file of that name.
Find = Callable[[str], Path | None]


@dataclass(frozen=True)
class Repository:
    """What is known of a model before its weights are read.

    Attributes:
        name: As in `transformers/<name>`: a hub id, or a folder from here or from the root.
        source: `hf:ORG/NAME` or `run:FOLDER`.
        config: Its `config.json`.
        preprocessor: How it prepares images: its `preprocessor_config.json`.
        weights: Fields of the spec's `Weights`.
    """

    name: str
    source: str
    config: dict[str, Any]
    preprocessor: dict[str, Any]
    weights: dict[str, Any]


def open_repository(name: str) -> Repository:
    """The repository of `transformers/<name>`.

    Args:
        name: A folder, from here or from the root, or a hub id `ORG/NAME`.

    Raises:
        UsageError: If there is no such folder or model, or it is not in the hub's format.
        WeightsError: If the hub cannot be reached, and its cache does not hold the model.
    """
    for folder in (Path(name), Path("/", name)):
        if folder.is_dir():
            return _folder(name, folder)
    if name.count("/") != 1 or not re.match(NAME, name):
        raise UsageError(
            f"{name} is neither a folder nor a hub id",
            "transformers/ORG/NAME, or transformers/FOLDER as save_pretrained writes it",
        )
    info = None if offline() else _info(name)
    return _hub(name, info) if info else _cached(name)


def _folder(name: str, folder: Path) -> Repository:
    path = os.path.abspath(folder)  # so that a run that is resumed elsewhere finds it
    if not re.match(NAME, name):  # such as ../models/mine
        name = path.strip("/")
    if not re.match(NAME, name):
        raise UsageError(
            f"{path} cannot be a teacher's name: it has a space, a hidden folder, or the like",
            f"ln -s {shlex.quote(path)} model, and select transformers/model",
        )
    here = {file: {} for file in FILES if (folder / file).is_file()}
    return _repository(name, f"run:{path}", _inside(folder), here, SAVE)


def _inside(folder: Path) -> Find:
    return lambda file: path if (path := folder / file).is_file() else None


def _hub(name: str, info: ModelInfo) -> Repository:
    def find(file: str) -> Path | None:
        try:
            # With the commit, a file that is in the cache is not fetched again.
            path = hf_hub_download(name, file, revision=info.sha, etag_timeout=TIMEOUT)
        except GatedRepoError as error:
            raise WeightsError(f"{name} is gated", ask_for_access(f"hf:{name}")) from error
        except EntryNotFoundError:
            return None
        return Path(path)

    files = {
        sibling.rfilename: {
            "gated": bool(info.gated),
            "bytes": sibling.size,
            "sha256": sibling.lfs.sha256 if sibling.lfs else None,
        }
        for sibling in info.siblings or ()
    }
    return _repository(name, f"hf:{name}", find, files, SAVE)


def _cached(name: str) -> Repository:
    found = [path for file in FILES if (path := locate(f"hf:{name}/{file}"))]
    here = found or list(filter(None, [locate(f"hf:{name}/config.json")]))
    hint = f"kivfm teachers fetch transformers/{name}, where there is a network"
    if not here:
        raise UsageError(f"{name} is not in the hub's cache, and KIVFM_OFFLINE=1", hint)
    files = {path.name: _blob(path) for path in found} or {file: {} for file in FILES}
    return _repository(name, f"hf:{name}", _inside(here[0].parent), files, hint)


def _blob(file: Path) -> dict[str, Any]:
    """What is known of a file from the hub's cache, which stores large files under their hash."""
    name = file.resolve().name
    known = re.fullmatch(r"[0-9a-f]{64}", name)
    return {"bytes": file.stat().st_size, "sha256": name if known else None}


def _info(name: str) -> ModelInfo | None:
    """The hub's record of a repository; None if the hub is out of reach but its cache is enough."""
    try:
        return HfApi().model_info(name, files_metadata=True, timeout=TIMEOUT)
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"the hub has no model {name}, or it is private", "hf auth login, if it is private"
        ) from error
    except Exception as error:  # each client that the hub's library may use has its own
        if locate(f"hf:{name}/config.json"):
            return None
        raise WeightsError(
            f"the hub cannot be reached for {name}: {type(error).__name__}",
            f"kivfm teachers fetch transformers/{name} where there is a network, or give a folder",
        ) from error


def _repository(
    name: str, source: str, find: Find, files: Mapping[str, dict[str, Any]], hint: str
) -> Repository:
    """Reads a repository.

    Args:
        name: As in `Repository`.
        source: As in `Repository`.
        find: Finds its files.
        files: The weights files that it has, by name, each with fields of the spec's `Weights`.
        hint: What to do if a file is missing.
    """

    def read(file: str) -> dict[str, Any]:
        path = find(file)
        return json.loads(path.read_text()) if path else {}

    config = read("config.json")
    # New versions of transformers save all processors of a model in one file.
    preprocessor = read("preprocessor_config.json") or read("processor_config.json").get(
        "image_processor"
    )
    file = next((file for file in FILES if file in files), None)
    wanted = {"config.json": config, "preprocessor_config.json": preprocessor, FILES[0]: file}
    missing = [what for what, found in wanted.items() if not found]
    if preprocessor is None or file is None or missing:
        raise UsageError(f"{name} lacks {', '.join(missing)}", hint)
    weights = {"source": f"{source}/{file}", "license": _license(find("README.md")), **files[file]}
    return Repository(name, source, config, preprocessor, weights)


def _license(card: Path | None) -> str:
    """The license that a model card names."""
    data = metadata_load(card) or {} if card else {}
    license = data.get("license")
    if license == "other":
        license = data.get("license_name") or license
    return license or "unknown"
