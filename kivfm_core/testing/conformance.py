"""The checks as a class of tests that a teacher package inherits."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_core.spec import TeacherSpec
from kivfm_core.testing.checks import CHECKS, Check, name_of
from kivfm_core.testing.outcome import Finding, NotChecked, traceback_of
from kivfm_core.testing.subject import Subject


class TeacherConformance:
    """Tests one teacher with every check of the kit; subclass it under a name with `Test`.

    What cannot be checked is skipped, with the reason at the end of pytest's report.

    Attributes:
        spec: The teacher.
        weights: Its file; by default the spec's own source, where that is on this machine.

    Example:
        class TestSmall(TeacherConformance):
            spec = SMALL
    """

    spec: TeacherSpec
    weights: Path | None = None

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls) -> Subject:
        """The teacher, built once for all checks."""
        return Subject(cls.spec, cls.weights)

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_conforms(self, check: Check, subject: Subject) -> None:
        """Makes one check."""
        try:
            check(subject)
        except NotChecked as reason:
            pytest.skip(f"not checked: {reason}")
        except Finding as finding:
            text = "\n".join(filter(None, (str(finding), traceback_of(finding))))
            pytest.fail(text, pytrace=False)
