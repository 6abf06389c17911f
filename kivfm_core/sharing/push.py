"""Pushes a student to a model hub: its bundle with a fresh model card, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from kivfm_core.errors import KivfmError, UsageError, one_line, printable
from kivfm_core.files import is_link, new_folder
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.run_files import DECODERS, STUDENT_CARD, STUDENT_STATE
from kivfm_core.sharing.samples import SAMPLES, as_markdown, draw_samples
from kivfm_core.student.card import write_card
from kivfm_core.weights import hub

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def push(
    run: str | Path,
    name: str,
    *,
    private: bool = False,
    dry_run: str | Path | None = None,
    samples: str | Path | None = None,
) -> str:
    """Pushes the student of a run to a model hub, from where `load(name)` gets it.

    Args:
        run: A run's folder, or a bundle's. A run's scores go into the model card.
        name: `ORG/NAME` on the hub; it is made if it is not there yet.
        private: Hide it from everyone but ORG.
        dry_run: A new folder, into which exactly what would go up is written; nothing goes up.
        samples: A folder of images that everyone may see: the student's predictions for four of
            them are drawn, and go up with the model card that shows them.

    Returns:
        Where it is now: the commit's page, or the folder.

    Raises:
        UsageError: If there is no student or it is damaged, the name is none, or the folder is
            there already; or it was to be private, and is public.
        PluginError: If the plugin of one of the student's teachers is missing.
        DataError: If `samples` is no folder of images.
        KivfmError: If the hub cannot be reached, or refuses it.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{printable(name)} is no name on a hub", f"kivfm push {run} ORG/NAME")
    model = open_model(Path(run), "cpu")
    if not isinstance(model, StudentModel) or not (model.bundle / STUDENT_CARD).is_file():
        raise UsageError(f"{printable(run)} holds no student", "kivfm runs list")
    if dry_run is not None:
        place = Path(dry_run).expanduser()
        if place.exists():
            raise UsageError(f"{printable(place)} is there already", f"--dry-run {place}-2")
        with new_folder(place) as aside:
            _gather(model, name, aside, samples)
        return str(place)
    if hub.offline():
        raise KivfmError("KIVFM_OFFLINE=1 forbids pushing", "unset KIVFM_OFFLINE; or --dry-run DIR")
    with TemporaryDirectory() as aside:
        _gather(model, name, Path(aside), samples)
        return _upload(Path(aside), name, private)


def _gather(model: StudentModel, name: str, folder: Path, samples: str | Path | None) -> None:
    """Copies what a bundle consists of, whatever else lies in its folder; links are left out."""
    bundle = model.bundle
    kept = (path for path in (bundle / DECODERS).rglob("*") if path.is_file())
    for file in (bundle / STUDENT_CARD, bundle / STUDENT_STATE, bundle / "LICENSES.md", *kept):
        if not is_link(file):
            copy = folder / file.relative_to(bundle)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copyfile(file, copy)
    drawn = draw_samples(model, Path(samples).expanduser(), folder) if samples else []
    write_card(folder, _evaluation(model), name, as_markdown(drawn))


def _evaluation(model: StudentModel) -> dict[str, Any] | None:
    """The scores of a run's student; none of another that was in its folder before."""
    found = model.run.evaluation if model.run is not None else {}
    return found if found.get("student") == model.identity else None


def _upload(folder: Path, name: str, private: bool) -> str:
    # As in `kivfm_core.weights.hub`.
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        # None leaves it to the setting of ORG; what is there already stays as it is.
        api.create_repo(name, private=private or None, exist_ok=True)
        if private and not api.model_info(name, timeout=hub.TIMEOUT).private:
            raise UsageError(
                f"{name} is there already, and public", "make it private on its page, or rename"
            )
        done = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="A kivfm student",
            delete_patterns=[f"{DECODERS}/*", f"{SAMPLES}/*"],
        )  # fmt: skip
    except KivfmError:
        raise
    except Exception as error:  # the hub's own, the network's, and the disk's
        raise KivfmError(
            f"cannot push to {name}: {type(error).__name__}: {printable(one_line(error))}",
            "log in with a token that may write: hf auth login",
        ) from error
    return str(done.commit_url)
