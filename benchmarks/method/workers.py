"""Processes that run one job after another: torch is imported, and a GPU begun, once in each."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

from benchmarks.common import KEEP_FREED
from benchmarks.method.changed_recipes import CHANGED_RECIPES
from benchmarks.method.joint_kinds_plan import KINDS
from kivfm_core.aligners.table import ALIGNERS
from kivfm_core.recipes.table import RECIPES

# The one command that is not kivfm's.
LABELS = "labels"


def make_workers(count: int, threads: int) -> ProcessPoolExecutor:
    """So many processes, each with so many threads; started when they are needed."""
    # Read when a process starts, so they are set for those to come.
    os.environ.update({**KEEP_FREED, **os.environ, "OMP_NUM_THREADS": str(threads)})
    return ProcessPoolExecutor(count, get_context("spawn"), _begin)


def know_all() -> None:
    """Makes this process know the recipes and kinds of aligners that only the suites have."""
    RECIPES.update(CHANGED_RECIPES)
    ALIGNERS.update(KINDS)


def _begin() -> None:
    """Knows what only the suites have, and ends with the suite: a next try would run beside it."""
    know_all()
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def call(words: Sequence[str], log: Path) -> float:
    """Runs a command in this process, as a process of its own would; seconds.

    Args:
        words: One of kivfm's commands and its arguments, or `labels` and those of `learn`.
        log: Its output goes to the end of this file.

    Raises:
        RuntimeError: If it failed.
    """
    from kivfm_cli.app import main

    began, argv = time.perf_counter(), sys.argv
    print(f"$ {'' if words[0] == LABELS else 'kivfm '}{shlex.join(words)}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out, redirect_stdout(out), redirect_stderr(out):
        sys.argv = ["kivfm", *words]  # a run keeps what it was made with
        try:
            code = _learn(words[1:]) if words[0] == LABELS else main(words)
        finally:
            sys.argv = argv
    if code:
        raise RuntimeError(f"{words[0]} ended with {code}; see {log}")
    return round(time.perf_counter() - began, 1)


def _learn(words: Sequence[str]) -> int:
    from benchmarks.method.learn import main

    main(words)
    return 0
