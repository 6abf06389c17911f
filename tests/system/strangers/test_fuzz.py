"""One value of one record changed at random: a run is opened, or there is a sentence."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stranger import (
    DEAR,
    JUNK,
    OPENERS,
    RECORDS,
    commands_say,
    limited_memory,
    mutated,
    opens_or_says,
    places,
    write,
)

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


COMMANDS = (("show",), ("list",), ("show", "--json"), ("list", "--json"))


class Fuzz:
    """Opens a run of which one value of one record is changed, by all ways.

    What is refused at once costs little. A change that nobody refuses is tried by the ways that
    compute something only each `EACH`-th time, and by one of them.
    """

    EACH = 30

    def __init__(self, run: Path, capsys: Any) -> None:
        self.run, self.capsys = run, capsys
        self.texts = {file: (run / file).read_text() for file in RECORDS}
        self.records = {
            file: tomllib.loads(text) if file.endswith(".toml") else json.loads(text)
            for file, text in self.texts.items()
        }
        self.places = {file: list(places(record)) for file, record in self.records.items()}
        self.opened = self.refused = 0

    def change(self, data: st.DataObject) -> str:
        """Writes a changed record, and returns its file; empty if TOML cannot hold it."""
        file = data.draw(st.sampled_from(RECORDS))
        place = data.draw(st.sampled_from(self.places[file]))
        junk = data.draw(st.sampled_from(JUNK) | st.text() | st.integers() | st.floats())
        try:
            write(self.run / file, mutated(self.records[file], place, junk))
        except (TypeError, ValueError, AttributeError):
            return ""
        return file

    def check(self, data: st.DataObject) -> None:
        file = self.change(data)
        try:
            if file:
                self.open(file)
        finally:
            for changed in RECORDS if file else ():
                (self.run / changed).write_text(self.texts[changed])

    def open(self, file: str) -> None:
        student = file.startswith("student/")
        ways = [way for name, way in OPENERS.items() if student == (name == "load_student")]
        results = [opens_or_says(way, self.run) for way in ways]
        if all(results):
            self.opened += 1
            number, rest = divmod(self.opened, self.EACH)
        else:
            self.refused += 1
            number, rest = self.refused, 0
        if not rest:
            name = list(DEAR)[number % len(DEAR)]
            opens_or_says(DEAR[name], self.copy() if name == "go on" else self.run)
        if not student:
            commands_say(self.run, self.capsys, COMMANDS[(self.opened + self.refused) % 4])

    def copy(self) -> Path:
        """A copy of the run, which going on with it changes."""
        folder = self.run.parents[1] / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.run, folder / "a"))


def fuzz(run: Path, capsys: Any, count: int) -> Fuzz:
    """Changes one value of one record, in so many ways."""
    fuzzed = Fuzz(run, capsys)

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        fuzzed.check(data)

    with limited_memory(4 * 2**30):
        check()
    return fuzzed


@pytest.mark.timeout(600)
def test_fuzzed_records(run: Path, capsys):
    fuzzed = fuzz(run, capsys, 2_000)
    assert min(fuzzed.opened, fuzzed.refused) > 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_fuzzed_records(run: Path, capsys):
    fuzz(run, capsys, 50_000)
