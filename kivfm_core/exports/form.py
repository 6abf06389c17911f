"""In which format and numbers a model is written: what fits together, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from kivfm_core.errors import PluginError, UsageError, printable
from kivfm_core.exports.formats import FORMATS, ExportFormat
from kivfm_core.registry.requirements import unmet

# Of a score in fewer bits, this share is to remain.
KEEP = 0.98


class Wishes(TypedDict, total=False):
    """What an export may be told beside its format; all of it has a default.

    Attributes:
        dtype: What it computes in: `fp32`, `fp16` (ONNX) or `bf16` (torch-export).
        quantize: `int8`: products of eight bits; ONNX only.
        dynamic: Leave the canvas's height and width open.
        calibration: A folder of at least eight images such as the export will see, for `int8`.
        data: `[FORMAT:]PATH`: measure the task there, by the model and by the export.
        keep: The least share of the model's score that the export has to keep.
    """

    dtype: str
    quantize: str | None
    dynamic: bool
    calibration: str | Path | None
    data: str | None
    keep: float


@dataclass(frozen=True)
class Form:
    """How a model is written.

    Attributes:
        kind: The format.
        dtype: What the export computes in.
        calibration: Images that the ranges of eight bits are taken from; None: no eight bits.
        dynamic: Whether the canvas's height and width stay open.
        data: What the task is measured on, if it is.
        keep: The least share of the score to keep.
    """

    kind: ExportFormat
    dtype: str
    calibration: Path | None
    dynamic: bool
    data: str | None
    keep: float

    @property
    def precision(self) -> str:
        """A key of `check.TOLERANCE`."""
        return self.dtype if self.calibration is None else "int8"


def make_form(format: str, task: str | None, wishes: Wishes) -> Form:
    """Looks whether a format and the wishes fit together.

    Args:
        format: A key of `FORMATS`.
        task: What is exported; None for features.
        wishes: The rest.

    Raises:
        UsageError: If they do not.
        PluginError: If a package is missing that the format needs, or is too old.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {printable(format)}", f"one of: {', '.join(FORMATS)}")
    kind, data, calibration = FORMATS[format], wishes.get("data"), wishes.get("calibration")
    dtype = wishes.get("dtype", "fp32")
    _check_dtype(kind, dtype, wishes.get("quantize"))
    _check_bits(kind, wishes.get("quantize"), calibration is not None)
    dynamic = wishes.get("dynamic", False)
    if dynamic and not kind.tasks:
        raise UsageError(f"{kind.name} holds weights, which fit every size", "leave out --dynamic")
    if data is not None and not (kind.start and task):
        raise UsageError(f"only a task in {_scored()} has a score here", "--format onnx --task T")
    if missing := unmet(kind.needs):
        hint = f"pip install 'kivfm[{kind.extra}]'"
        raise PluginError(f"{kind.name} needs {', '.join(missing)}", hint)
    folder = None if calibration is None else Path(calibration)
    return Form(kind, dtype, folder, dynamic, data, wishes.get("keep", KEEP))


def _scored() -> str:
    return " or ".join(kind.name for kind in FORMATS.values() if kind.start)


def _check_dtype(kind: ExportFormat, dtype: str, quantize: str | None) -> None:
    if dtype not in ("fp32", "fp16", "bf16"):
        raise UsageError(f"unknown dtype {printable(dtype)}", "one of: fp32, fp16, bf16")
    if dtype not in kind.dtypes:
        others = [one.name for one in FORMATS.values() if dtype in one.dtypes]
        raise UsageError(
            f"{kind.name} is not written in {dtype}: what runs it has no such kernels on a CPU, or"
            " it holds the weights as they are",
            f"--dtype {' or '.join(kind.dtypes)}, or --format {' or '.join(others)}",
        )
    if quantize and dtype != "fp32":
        raise UsageError(f"eight bits beside {dtype} do not run here", "leave out --dtype")


def _check_bits(kind: ExportFormat, quantize: str | None, calibrated: bool) -> None:
    if quantize not in (None, "int8"):
        raise UsageError(f"unknown quantization {printable(quantize)}", "--quantize int8")
    if quantize and not kind.quantize:
        raise UsageError(f"{kind.name} is not written in eight bits", "--format onnx")
    hint = "--quantize int8 --calibration FOLDER"
    if quantize and not calibrated:
        raise UsageError("eight bits need images to calibrate with", hint)
    if calibrated and not quantize:
        raise UsageError("--calibration does nothing without --quantize", hint)
