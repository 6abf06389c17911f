"""Probes a model: frozen features by the protocols of papers."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from kivfm_core.errors import UsageError
from kivfm_core.evaluation.bootstrap import DRAWS, SEED
from kivfm_core.files import LOCK, only_writer
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.probing.bench import Bench, Part
from kivfm_core.probing.protocol import Protocol, Settings
from kivfm_core.probing.result import ProbeResult, ProbeRow, read_result, write_result
from kivfm_core.probing.table import find_protocols
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Progress, Silent
from kivfm_core.reference import resolve_reference
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers
from kivfm_core.runs.run import Run


# As many parameters as the command has flags; most calls give three.
def probe(
    model: str | Path | Run | Model,
    val: str,
    *,
    train: str | None = None,
    protocols: Sequence[str] = ("knn",),
    settings: Settings | None = None,
    out: str | Path | None = None,
    weights: str | Path | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
    team: Team = ONE_PROCESS,
) -> ProbeResult:
    """Measures a model's frozen features by protocols, so that its numbers stand beside a paper's.

    Features are computed once for all protocols that read the same. Called again with the same
    `out`, it goes on where it was stopped.

    Args:
        model: A run's folder, a bundle's, a teacher's name, or what is open already.
        val: Images to score, `[FORMAT:]PATH`.
        train: Images to learn from, for the protocols that do.
        protocols: Names of `kivfm_core.probing.table.PROTOCOLS`.
        settings: What may be changed of them.
        out: Folder for the features and the record, `probe.json`; nothing is kept by default.
        weights: A file for a teacher's weights, in place of its own source.
        accelerator: Where networks compute; an open model computes where it was opened.
        progress: Where to report; nowhere by default.
        team: Processes that share the images; each of them calls this, with one `out`.

    Raises:
        UsageError: If a name is unknown, a source is missing, or `out` holds something else.
        DataError: If the images or their labels cannot be used.
        KivfmError: If an extra is missing, or the disk is full.
    """
    wanted = find_protocols(protocols)
    if train is None and (needy := [p.name for p in wanted if p.trains]):
        raise UsageError(f"{needy[0]} needs images to learn from", "--train D")
    if out is None and team.world > 1:
        raise UsageError("several processes meet in a folder of features", "--out DIR")
    opened = open_model(model, accelerator, weights)
    warn_of_changed_teachers(opened.run)
    sources: dict[Part, str] = {"val": val} if train is None else {"train": train, "val": val}
    with _folder(out, opened.name, team) as folder:
        read_result(folder)  # refused before anything is measured
        bench = Bench(
            opened, settings or Settings(), sources, folder, progress or Silent(), team=team
        )
        return _run(bench, wanted)


def _run(bench: Bench, protocols: Sequence[Protocol]) -> ProbeResult:
    """Measures by one protocol after another; each one's rows are written at once."""
    began, rows, found = time.monotonic(), list[ProbeRow](), ProbeResult()
    for protocol in protocols:
        rows += _measure(bench, protocol)
        seconds = round(time.monotonic() - began, 1)
        notes = tuple(bench.notes)
        found = ProbeResult(rows=tuple(rows), notes=notes, seconds=seconds, draws=DRAWS, seed=SEED)
        if bench.team.is_first:
            write_result(bench.folder, found)
    return found


def _measure(bench: Bench, protocol: Protocol) -> list[ProbeRow]:
    train = bench.sources.get("train") if protocol.trains else None
    named = {"model": bench.model.name, "train": train, "val": bench.sources["val"]}
    return [row.model_copy(update=named) for row in resolve_reference(protocol.run)(bench)]


@contextmanager
def _folder(out: str | Path | None, model: str, team: Team) -> Generator[Path]:
    """The folder of a probe, held by the first process; one that goes away if nothing is kept."""
    if out is None:
        with TemporaryDirectory(prefix="kivfm-probe-") as place:
            yield Path(place)
        return
    folder = Path(out).expanduser()
    if not team.is_first:
        yield folder
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with only_writer(folder, f"kivfm probe {quote(model)} --out {quote(str(folder))}"):
        try:
            yield folder
        except BaseException:
            _discard(made)
            raise


def _discard(made: Sequence[Path]) -> None:
    """Removes folders that were made for a probe, the inner first, if it wrote nothing."""
    if made and [path.name for path in made[0].iterdir()] == [LOCK]:
        with suppress(OSError):  # where a file that is held cannot be removed
            (made[0] / LOCK).unlink()
            for folder in made:
                folder.rmdir()
