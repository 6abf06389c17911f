"""Where an evaluation is written: checked before anything is measured, whole or not at all."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from filelock import FileLock
from pydantic import ValidationError

from kivfm_core.errors import KivfmError, UsageError, one_line, printable
from kivfm_core.evaluation.result import Evaluation
from kivfm_core.files import PARTIAL, write_text
from kivfm_core.models.model import Model
from kivfm_core.run_files import EVALUATION, read_record

# Seconds to wait for another process that adds its results to the same file.
PATIENCE = 60


@dataclass(frozen=True)
class Place:
    """The file that an evaluation is written to.

    Attributes:
        file: Its path.
        adds: Whether it keeps earlier results of the same student, as a run's file does. A file
            of the user's own holds one evaluation, the last.
    """

    file: Path
    adds: bool

    def write(self, result: Evaluation) -> Evaluation:
        """Writes what was measured.

        Returns:
            What the file holds now.

        Raises:
            KivfmError: If it cannot be written; what was there stays.
        """
        try:
            # Another process may add to the file at the same time: neither loses its results.
            with self._lock() if self.adds else nullcontext():
                earlier = self.read() if self.adds else None
                whole = result.added_to(earlier) if earlier else result
                write_text(self.file, whole.text())
        except OSError as error:  # the lock's timeout is one
            raise KivfmError(
                f"{printable(self.file)} cannot be written: {error.strerror or one_line(error)}",
                "what was measured is above; --out FILE writes it elsewhere",
            ) from error
        return whole

    def _lock(self) -> FileLock:
        lock = self.file.with_name(f".{self.file.name}.lock")
        return FileLock(lock, timeout=PATIENCE, is_singleton=False)

    def read(self) -> Evaluation | None:
        """What the file holds; None if there is no such file.

        Raises:
            UsageError: If it is damaged, or something else.
        """
        if not self.file.exists():
            return None
        try:
            return Evaluation.model_validate(read_record(self.file))
        except ValidationError as error:
            raise UsageError(
                f"{printable(self.file)} is no evaluation: {printable(one_line(error))}",
                "move it away, or write elsewhere: --out FILE",
            ) from error


def find_place(model: Model, out: str | Path | None = None) -> Place | None:
    """Where an evaluation is to be written: into the run's folder, or to a file of one's own.

    Args:
        model: What is evaluated.
        out: The file; a run's own by default.

    Returns:
        The place; None if the model is no run and no file is given.

    Raises:
        UsageError: If it cannot be written there, or something else is there already.
    """
    own = model.run.path / EVALUATION if model.run is not None else None
    file = Path(out) if out is not None else own
    if file is None:
        return None
    place = Place(file, adds=own is not None and file.resolve() == own.resolve())
    folder = place.file.parent
    probe = folder / f".{token_hex(6)}{PARTIAL}"
    try:
        if place.file.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)  # who holds the run tidies it up
    except OSError as error:
        raise UsageError(
            f"{printable(place.file)} cannot be written: {error.strerror or error}",
            "write elsewhere: --out FILE",
        ) from error
    place.read()
    return place
