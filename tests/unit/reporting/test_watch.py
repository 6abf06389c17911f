"""The page of a run that goes on: written until nobody works on the run."""

from __future__ import annotations

import json

import pytest
from filelock import FileLock

from kivfm_core.errors import UsageError
from kivfm_core.reporting.watch import watch_run
from kivfm_core.run_files import METRICS

BOX = 'id="follow"'


@pytest.fixture
def lock(unfinished):
    """Another process at work on the run."""
    with FileLock(unfinished.path / ".lock", is_singleton=False) as lock:
        yield lock


def test_pages_follow_the_run_until_it_ends(unfinished, write, lock):
    steps, pages = iter([4, 5]), []

    def written(file):
        pages.append(file.read_text(encoding="utf-8"))
        if (step := next(steps, None)) is None:
            lock.release()
        else:
            write(METRICS, [{"step": s, "losses": {"toybase/small": 1.0}} for s in (1, step)])

    file = watch_run(unfinished.path, every=0.01, written=written)
    last = file.read_text(encoding="utf-8")
    assert [("4 of 6" in p, "5 of 6" in p) for p in pages] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    assert all(BOX in p for p in pages) and BOX not in last and "5 of 6" in last
    assert [p.name for p in unfinished.path.iterdir() if "partial" in p.name] == []


def test_ctrl_c_leaves_a_page_that_is_not_loaded_anew(unfinished, lock):
    def written(file):
        assert BOX in file.read_text(encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_run(unfinished.path, every=0.01, written=written)
    assert BOX not in (unfinished.path / "report.html").read_text(encoding="utf-8")


def test_a_run_at_its_end_is_written_once(finished, tmp_path):
    pages = []
    file = watch_run(finished.path, tmp_path / "page.html", written=pages.append)
    assert file.is_file() and not pages


def test_a_damaged_record_ends_it(unfinished, lock):
    unfinished.composition_file.write_text(json.dumps({"teachers": 1}))
    with pytest.raises(UsageError, match="damaged"):
        watch_run(unfinished.path, every=0.01)
    with pytest.raises(UsageError, match="no run folder"):
        watch_run(unfinished.path / "none")
