"""Tokenizers for text prompts: local, fetched from the hub, or in a bundle. Torch-free."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

from kivfm_core.errors import WeightsError, one_line, printable
from kivfm_core.files import is_link
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights import hub
from kivfm_core.weights.locate import locate

# The files of a repository that are fetched: all but weights and images.
FILES = ("*.json", "*.txt", "*.model")

# A tokenizer's folder holds one of these. Without any, transformers may silently build a tokenizer
# with a vocabulary of two words.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)


def locate_tokenizer(source: str) -> Path | None:
    """The local folder of a tokenizer, or None if it must be fetched.

    Args:
        source: `hf:ORG/NAME`, `package:NAME/PATH` or `run:FOLDER`.
    """
    found = (locate(f"{source}/{file}") for file in VOCABULARIES)
    return next((file.parent for file in found if file is not None), None)


def obtain_tokenizer(spec: TeacherSpec, task: str) -> Path | None:
    """The folder of a task's tokenizer, local or fetched; None if the task needs none.

    Raises:
        WeightsError: If there is none, or the hub cannot be reached or refuses it.
    """
    source = spec.task(task).tokenizer
    if source is None:
        return None
    return locate_tokenizer(source) or _fetch(spec, source)


def keep_tokenizers(spec: TeacherSpec, folder: Path) -> None:
    """Copies the local tokenizers of a teacher's tasks to `folder/TASK`."""
    for task in spec.tasks:
        found = locate_tokenizer(task.tokenizer) if task.tokenizer else None
        if found is not None:
            (folder / task.task).mkdir(parents=True)
            for file in [file for pattern in FILES for file in found.glob(pattern)]:
                copyfile(file, folder / task.task / file.name)


def with_kept(spec: TeacherSpec, folder: Path) -> TeacherSpec:
    """The spec with the tokenizers that `keep_tokenizers` copied in place of its own.

    Raises:
        WeightsError: If one of them is a link, or has a link in it.
    """
    tasks = tuple(
        task.model_copy(update={"tokenizer": f"run:{kept}"})
        if (kept := folder.absolute() / task.task).is_dir()
        else task
        for task in spec.tasks
    )
    for task in (task for task in tasks if task not in spec.tasks):
        kept = folder / task.task
        for path in (folder, kept, *kept.iterdir()):
            if is_link(path):
                raise WeightsError(
                    f"{printable(path)} is a link, and not followed", "put the file itself there"
                )
    return spec.model_copy(update={"tasks": tasks})


def _fetch(spec: TeacherSpec, source: str) -> Path:
    what = f"the tokenizer of {spec.name} ({source})"
    hint = f"kivfm teachers fetch {spec.name}, where there is a network"
    if not source.startswith("hf:"):
        raise WeightsError(f"{what} is not here", "save it there with save_pretrained")
    if hub.offline():
        raise WeightsError(f"{what} is not here, and KIVFM_OFFLINE=1 forbids fetching it", hint)
    try:
        hub.download_files(source, FILES)
    except Exception as error:
        hint = hub.access_hint(error, source, hint)
        raise WeightsError(f"cannot fetch {what}: {one_line(error)}", hint) from error
    folder = locate_tokenizer(source)
    if folder is None:
        raise WeightsError(f"{what}: the repository holds none", f"look at {hub.page(source)}")
    return folder
