"""The labels that a head learns from, and those that it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from kivfm_core.data.sources import formats_of, load_data, parse_source
from kivfm_core.errors import DataError, printable
from kivfm_core.registry.registry import find_task
from kivfm_core.task import LabeledImages

# Classes that are named in a line about their balance, at most.
NAMED = 3


def load_labels(source: str, task: str, limit: int | None = None) -> LabeledImages:
    """Images with labels for a task.

    Args:
        source: `[FORMAT:]PATH`.
        task: The task.
        limit: At most so many, evenly spread.

    Raises:
        DataError: If there are none.
    """
    record = find_task(task)
    return load_data(
        parse_source(source, [kind.name for kind in formats_of(record)]), record, limit
    )


def class_names(data: Any, source: str, task: str) -> tuple[str, ...]:
    """The names of the classes in labels; of indices without names, the indices.

    Args:
        data: The labels.
        source: Where they are.
        task: What they are for; one without classes has no names.

    Raises:
        DataError: If there are none, or two have one name.
    """
    if find_task(task).classes == "none":
        return ()
    names: Sequence[str] | None = data.classes
    if names is None:
        names = [str(index) for index in range(1 + max(data.targets, default=-1))]
    if not names:
        raise DataError(f"{printable(source)} names no classes", "give labels with categories")
    if len(set(names)) < len(names):
        raise DataError(f"{printable(source)} has two classes of one name", "rename one of them")
    return tuple(names)


def balance(counts: Tensor, classes: tuple[str, ...], what: str) -> str:
    """How often the classes occur, in a line.

    Args:
        counts: `[K]`.
        classes: Their names.
        what: What was counted, in the plural.
    """
    total = max(1, int(counts.sum()))
    order: list[int] = counts.argsort().tolist()
    missing = [classes[i] for i in order if not counts[i]]
    rare, common = order[len(missing)] if len(missing) < len(order) else order[0], order[-1]
    line = (
        f"{len(classes)} classes; most {what} are of {printable(classes[common])}"
        f" ({int(counts[common]) / total:.1%}), fewest of {printable(classes[rare])}"
        f" ({int(counts[rare]) / total:.1%})"
    )
    if missing:
        more = ", ..." if len(missing) > NAMED else ""
        line += f"; none of {', '.join(map(printable, missing[:NAMED]))}{more}"
    return line
