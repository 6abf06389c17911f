"""The kit inside of pytest, as a teacher package has it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

SUPPORT = Path(__file__).parents[2] / "support"


def run_pytest(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_teacher.py").write_text(textwrap.dedent(test))
    path = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, text=True, capture_output=True,
    )  # fmt: skip


def test_a_package_inherits_the_checks(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        from broken import GOOD
        from kivfm_core.testing import TeacherConformance

        class TestGood(TeacherConformance):
            spec = GOOD

        class TestBad(TeacherConformance):
            spec = GOOD.model_copy(update={"parameters": 7})
        """,
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed, 33 passed, 12 skipped" in done.stdout
    assert "fix: parameters=" in done.stdout
    # What was not checked is said without -rs.
    assert "not checked of teachers" in done.stdout
    assert "TestGood::test_conforms[attachments]: none are declared" in done.stdout


def test_pytest_starts_without_torch(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        import sys

        def test_start(request):
            assert request.config.pluginmanager.hasplugin("kivfm")
            assert "kivfm_core.testing.plugin" in sys.modules and "torch" not in sys.modules
        """,
    )
    assert done.returncode == 0, done.stdout
    assert "not checked" not in done.stdout
