"""The table of checks, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from kivfm_core.errors import one_line
from kivfm_core.testing.behavior import (
    batch,
    bfloat16,
    deterministic,
    frozen,
    gradients,
    responds,
)
from kivfm_core.testing.contract import contract
from kivfm_core.testing.declared import (
    builds,
    packaged,
    parameters,
    references,
    schema,
    weights_fit,
)
from kivfm_core.testing.decoders import decoders
from kivfm_core.testing.discovery import discovery
from kivfm_core.testing.original import original
from kivfm_core.testing.outcome import Finding, NotChecked, traceback_of
from kivfm_core.testing.preprocess import preprocess
from kivfm_core.testing.published import checksum, golden
from kivfm_core.testing.readouts import readouts
from kivfm_core.testing.safety import safe_loading
from kivfm_core.testing.shapes import attachments, levels
from kivfm_core.testing.subject import Subject

Check = Callable[[Subject], None]

CHECKS: tuple[Check, ...] = (
    # Whatever a module does when it is imported, it does it the first time only.
    *(schema, discovery, safe_loading, references, packaged, builds, weights_fit, parameters),
    *(levels, attachments, deterministic, frozen, batch, responds, bfloat16),
    *(gradients, contract),
    *(decoders, readouts, original, preprocess, checksum, golden),
)


def name_of(check: Check) -> str:
    """A check's name, such as `safe-loading`."""
    return check.__name__.replace("_", "-")


def meaning_of(check: Check) -> str:
    """What it means that a check passed, in one line."""
    return (check.__doc__ or "").partition("\n")[0]


@dataclass(frozen=True)
class Result:
    """What became of one check.

    Attributes:
        name: The check's.
        meaning: What it means that it passed.
        status: How it ended.
        message: What was found, or why it was not checked.
        fix: What to do about it.
        traceback: Of what the teacher's code raised; empty if it raised nothing.
    """

    name: str
    meaning: str
    status: Literal["ok", "finding", "not checked"]
    message: str = ""
    fix: str = ""
    traceback: str = ""


def run_checks(subject: Subject) -> Iterator[Result]:
    """Makes every check, one after another; none stops the others."""
    for check in CHECKS:
        name, meaning = name_of(check), meaning_of(check)
        try:
            check(subject)
        except NotChecked as reason:
            yield Result(name, meaning, "not checked", reason.message, reason.fix)
        except Finding as finding:
            trace = traceback_of(finding)
            yield Result(name, meaning, "finding", finding.message, finding.fix, trace)
        except Exception as error:  # whatever a plugin's code raises
            fix = "repair what raises it: the traceback says where"
            yield Result(name, meaning, "finding", one_line(error), fix, traceback_of(error))
        else:
            yield Result(name, meaning, "ok")
