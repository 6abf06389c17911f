"""One run at a time writes to a run folder, and a start that fails leaves nothing in it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from shlex import quote

from kivfm_core.distillation.context import RunContext
from kivfm_core.errors import DataError, PluginError, UsageError, WeightsError
from kivfm_core.files import only_writer, remove_partials

# What was given is wrong, so the same command would fail again: no such run is worth keeping.
WRONG = (UsageError, WeightsError, DataError, PluginError)


@contextmanager
def hold(context: RunContext, new: bool) -> Generator[None]:
    """Holds a run folder while the run is made; all of its processes have to call it.

    The first process holds it for all. A new run that fails before its first checkpoint, for what
    it was given, is removed again.

    Args:
        context: The run.
        new: Whether it begins, and is not resumed.

    Raises:
        UsageError: In all processes, if another run is written there.
    """
    run, existed = context.run, context.run.path.exists()
    with ExitStack() as held:
        refused = _take(context, new, held) if context.is_first else None
        # All leave together: a process that waited for the first would wait forever.
        if (heard := context.fabric.broadcast(refused)) is not None:
            raise UsageError(*heard)
        try:
            yield
        except WRONG:
            if context.is_first and new and run.is_new:
                run.discard(folder=not existed)
            raise


def _take(context: RunContext, new: bool, held: ExitStack) -> tuple[str, str] | None:
    """Takes the folder until `held` is closed; returns message and hint if it cannot be had."""
    run = context.run
    again = f"kivfm distill --resume {quote(str(run.path))}"
    try:
        held.enter_context(only_writer(run.path, again))
        for folder in (run.path, run.checkpoints):
            remove_partials(folder)  # left by a kill; nobody else writes here now
        # What was looked at before may have changed until the folder was held.
        if new:
            run.check_is_new()
            run.forget_plan()
        else:
            run.check_is_run()
    except UsageError as error:
        return error.message, error.hint
    return None
