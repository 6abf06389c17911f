"""Where a model's files are: a folder in the hub's own format, or a repository on the hub."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

from kivfm_core.errors import UsageError, WeightsError
from kivfm_core.fetch import TIMEOUT, offline, page
from kivfm_core.locate import locate
from kivfm_core.spec import NAME

FILES = ("model.safetensors", "pytorch_model.bin")
SAVE = "save the model, in one file, and its image processor with save_pretrained"


@dataclass(frozen=True)
class Repository:
    """What is known of a model before its weights are read.

    Attributes:
        name: As in `transformers/<name>`: a hub id, or a folder from here or from the root.
        source: `hf:ORG/NAME` or `run:FOLDER`.
        config: Its `config.json`.
        preprocessor: How its pictures are made ready, `preprocessor_config.json`.
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
        WeightsError: If the hub cannot be asked.
    """
    for folder in (Path(name), Path("/", name)):
        if folder.is_dir():
            return _folder(name, folder)
    if name.count("/") != 1 or not re.match(NAME, name):
        raise UsageError(
            f"{name} is no folder, and no hub id",
            "transformers/ORG/NAME, or transformers/FOLDER as save_pretrained writes it",
        )
    return _hub(name)


def _folder(name: str, folder: Path) -> Repository:
    path = os.path.abspath(folder)  # a run that is resumed elsewhere must find it
    if not re.match(NAME, name):  # such as ../models/mine
        name = path.strip("/")
    if not re.match(NAME, name):
        raise UsageError(
            f"{path} holds what the name of a teacher must not, such as a space or a hidden folder",
            f"ln -s {shlex.quote(path)} model, and select transformers/model",
        )

    def read(file: str) -> dict[str, Any] | None:
        path = folder / file
        return json.loads(path.read_text()) if path.is_file() else None

    here = [file for file in FILES if (folder / file).is_file()]
    return _repository(name, f"run:{path}", read, here, {}, SAVE)


def _hub(name: str) -> Repository:
    alone = offline()
    info = None if alone else _ask(name)

    def read(file: str) -> dict[str, Any] | None:
        try:
            path = hf_hub_download(name, file, local_files_only=alone, etag_timeout=TIMEOUT)
        except GatedRepoError as error:
            raise WeightsError(
                f"{name} is gated", f"ask for access at {page(f'hf:{name}')}, then: hf auth login"
            ) from error
        except EntryNotFoundError:  # and, offline, what is not in the hub's cache
            return None
        return json.loads(Path(path).read_text())

    if info is None:
        here = [file for file in FILES if locate(f"hf:{name}/{file}")]
        mend = f"kivfm teachers fetch transformers/{name}, where there is a network"
        return _repository(name, f"hf:{name}", read, here or [*FILES], {}, mend)
    files = [sibling.rfilename for sibling in info.siblings or ()]
    return _repository(name, f"hf:{name}", read, files, _published(info), SAVE)


def _ask(name: str) -> ModelInfo:
    try:
        return HfApi().model_info(name, files_metadata=True, timeout=TIMEOUT)
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"the hub has no model {name}, or it is private", "hf auth login, if it is private"
        ) from error
    except Exception as error:  # of whichever client the hub's library uses
        raise WeightsError(
            f"the hub cannot be asked for {name}: {type(error).__name__}",
            f"KIVFM_OFFLINE=1 if {name} is in the hub's cache, or give a folder",
        ) from error


def _repository(
    name: str,
    source: str,
    read: Callable[[str], dict[str, Any] | None],
    files: list[str],
    fields: dict[str, Any],
    mend: str,
) -> Repository:
    config = read("config.json")
    preprocessor = read("preprocessor_config.json")
    if preprocessor is None:  # present versions save all processors of a model in one file
        preprocessor = (read("processor_config.json") or {}).get("image_processor")
    file = next((file for file in FILES if file in files), None)
    wanted = {"config.json": config, "preprocessor_config.json": preprocessor, FILES[0]: file}
    missing = [what for what, found in wanted.items() if not found]
    if config is None or preprocessor is None or file is None:
        raise UsageError(f"{name} lacks {', '.join(missing)}", mend)
    sizes = fields.pop("files", {})
    weights = {"source": f"{source}/{file}", **fields, **sizes.get(file, {})}
    return Repository(name, source, config, preprocessor, weights)


def _published(info: ModelInfo) -> dict[str, Any]:
    """What the hub says of a repository: license, gate, and each file's size and hash."""
    card = info.card_data or {}
    license = card.get("license")
    if license == "other":
        license = card.get("license_name") or license
    files = {
        sibling.rfilename: {
            "bytes": sibling.size,
            "sha256": sibling.lfs.sha256 if sibling.lfs else None,
        }
        for sibling in info.siblings or ()
    }
    return {"license": license or "unknown", "gated": bool(info.gated), "files": files}
