"""All trackers of a run. A tracker that fails does not stop the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kivfm_core.errors import one_line
from kivfm_core.files import write_text
from kivfm_core.reference import resolve_reference
from kivfm_core.run_files import TRACKED, RunFiles
from kivfm_core.trackers.table import TRACKERS
from kivfm_core.trackers.tracker import TrackedRun, Tracker


class Trackers:
    """Sends the same values to several trackers. One that fails is reported once, and dropped.

    Args:
        names: Keys of `TRACKERS`.
        run: The run folder, which stores what each tracker calls the run.
        config: The configuration, by dotted keys.
        first: Steps made before.
        say: Reports a line to the user.
    """

    def __init__(
        self,
        names: Sequence[str],
        run: RunFiles,
        config: Mapping[str, Any],
        first: int,
        say: Callable[[str], None],
    ) -> None:
        self.say, self.open = say, dict[str, Tracker]()
        known = run.trackers
        for name in names:
            with self._guarded(name):
                begin = resolve_reference(TRACKERS[name].begin)
                self.open[name] = begin(TrackedRun(run.path, config, first, known.get(name)))
        called = {name: one.id for name, one in self.open.items() if one.id is not None}
        if called.items() - known.items():
            record = {"schema": 1, "runs": {**known, **called}}
            write_text(run.path / TRACKED, json.dumps(record, indent=1))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Sends every tracker what was measured after so many steps."""
        for name, tracker in [*self.open.items()]:
            with self._guarded(name):
                tracker.log(values, step)

    def close(self) -> None:
        """Closes every tracker."""
        for name, tracker in [*self.open.items()]:
            with self._guarded(name):
                tracker.close()

    @contextmanager
    def _guarded(self, name: str) -> Generator[None]:
        try:
            yield
        except Exception as error:  # whatever the library of a service raises
            self.open.pop(name, None)
            self.say(
                f"{name} failed, and gets nothing more of this run, which goes on; metrics.jsonl "
                f"has all: {one_line(error)}"
            )
