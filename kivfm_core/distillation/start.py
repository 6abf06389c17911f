"""The weights that a trunk which is trained in full starts from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from kivfm_core.errors import WeightsError
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.stored import obtain_weights
from kivfm_core.student.student import Student
from kivfm_core.weights.fetch import file_sha256
from kivfm_core.weights.loading import Provenance, load_parts, load_strict

# What the provenance of these weights is stored as, among the teachers' names.
STARTED = "student"
# How hints about a teacher's weights begin what is to be given.
_FLAG = re.compile(r"--weights( \S+=FILE)?")


def load_start(student: Student, given: str | None, log: Callable[[str], None]) -> Provenance:
    """Loads pre-trained weights into a student's trunk.

    Args:
        student: An untrained student.
        given: A file; by default the weights that the trunk's spec names, fetched if need be.
        log: Reports what was loaded.

    Returns:
        What was loaded.

    Raises:
        WeightsError: If there are none, or they do not fit.
    """
    spec = student.composition.trunk
    try:
        file = obtain_weights(spec, Path(given) if given is not None else None, get_registry())
        keys = load_strict(student.trunk, load_parts(spec, file)["encoder"], spec.name)
    except WeightsError as error:
        hint = _FLAG.sub("--student-weights FILE", error.hint)
        raise WeightsError(
            error.message, f"{hint}; or --student-weights none, for random ones"
        ) from error
    started = Provenance(given or spec.weights.source, file_sha256(file), keys)
    log(f"the student starts from {started}")
    return started
