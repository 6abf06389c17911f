"""Students on a model hub: fetched as bundles, which are opened as any stranger's."""

from __future__ import annotations

import re
from pathlib import Path

from kivfm_core.errors import UsageError, WeightsError, one_line, printable
from kivfm_core.run_files import DECODERS, STUDENT_CARD, STUDENT_STATE
from kivfm_core.weights import hub
from kivfm_core.weights.locate import locate

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@\w[\w.-]*)?")
# All that a bundle is read from, and its papers; whatever else a stranger's repository holds stays.
FILES = (STUDENT_CARD, STUDENT_STATE, f"{DECODERS}/*", "LICENSES.md", "README.md")
# Errors of the hub's library that mean: no such thing is there, or there is no network.
_ABSENT = {"RepositoryNotFoundError", "ConnectError", "ConnectionError", "ConnectTimeout"}


def may_be_on_hub(name: str) -> bool:
    """Whether a name may be `ORG/NAME[@REVISION]`: a path in a folder that is here is none."""
    return NAME.fullmatch(name) is not None and not Path(name).parent.exists()


def fetch_student(name: str) -> Path:
    """The folder of a student's bundle, in the hub library's cache.

    The newest is fetched, or what a revision names. Offline, or if the hub cannot be reached, it is
    what was fetched before.

    Args:
        name: `ORG/NAME[@REVISION]`.

    Raises:
        UsageError: If there is no such student, or the hub cannot be reached.
        WeightsError: If the hub refuses it.
    """
    # A branch is named, so that the cache knows what it meant last.
    source = f"hf:{name}" if "@" in name else f"hf:{name}@main"
    what = f"{name} is no run folder, no bundle, and no teacher"
    error = None
    if not hub.offline():
        try:
            hub.download_files(source, FILES)
        except Exception as failed:  # the hub's own, the network's, and the disk's
            error = failed
    folder = locate(source)
    # What was not fetched wholly, for whatever reason, is not taken for a student.
    if folder is not None and all((folder / f).is_file() for f in FILES[:2]):
        return folder
    if error is None:
        why = "KIVFM_OFFLINE=1 forbids fetching it" if hub.offline() else "it holds no student"
        raise UsageError(f"{what} here; on the hub, {why}", "kivfm teachers list")
    said = f"{type(error).__name__}: {printable(one_line(error))}"
    if type(error).__name__ in _ABSENT:
        raise UsageError(f"{what}, here or on the hub ({said})", "kivfm teachers list") from error
    hint = hub.access_hint(error, source, "download it elsewhere, and name its folder")
    raise WeightsError(f"cannot fetch {name}: {said}", hint) from error
