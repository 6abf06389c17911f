"""Eight bits: ONNX Runtime's static quantization, with ranges seen on calibration images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.errors import UsageError, printable
from kivfm_core.exports.program import Program
from kivfm_core.task import spread

# Images that ranges are taken from: fewer say little, more say the same.
FEWEST, MOST = 8, 64
# What costs time. The rest, such as normalization and a head's sigmoids, stays as it is.
OPERATORS = ["Conv", "Gemm", "MatMul"]


def quantize(program: Program, file: Path, calibration: Path) -> None:
    """Turns an ONNX file of a program into one whose products are of eight bits (QDQ).

    Args:
        program: Makes the canvases.
        file: Replaced.
        calibration: A folder of images such as the export will see; at most 64 are read.

    Raises:
        UsageError: If there are too few, or the model is too large.
        DataError: If it is no folder of images.
    """
    if file.with_name(f"{file.name}.data").exists():
        raise UsageError(
            f"{program.spec.name} has weights of more than 1.5 GB, which are not turned to eight"
            " bits here",
            "--dtype fp16",
        )
    # An extra: only those who export to ONNX have it.
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = _batches(program, _find(calibration))

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, Any] | None:  # type: ignore[override]
            batch = next(batches, None)
            return batch

    plain = file.with_name("plain-" + file.name)
    card = onnx.load(str(file)).metadata_props
    # Folds normalization into convolutions, so that there is less to round.
    quant_pre_process(str(file), str(plain), skip_symbolic_shape=True)
    quantize_static(
        str(plain), str(file), Reader(), op_types_to_quantize=OPERATORS, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    made = onnx.load(str(file))
    del made.metadata_props[:]
    made.metadata_props.extend(card)
    onnx.save(made, str(file))
    plain.unlink()


def _find(folder: Path) -> Images:
    """The images to calibrate with; before anything is computed it is said if they are too few."""
    found = find_images(folder)
    if len(found) < FEWEST:
        raise UsageError(
            f"{printable(folder)} has {len(found)} images, too few to calibrate with",
            f"give {FEWEST} or more",
        )
    return found


def _batches(program: Program, found: Images) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """What the file takes: canvases `[1, 3, H, W]`, and prompts if it asks for them."""
    for index in spread(len(found), MOST):
        canvas = program.canvases([to_tensor(found.open(index))])
        yield {name: x.numpy() for name, x in {"canvas": canvas, **program.example(canvas)}.items()}
