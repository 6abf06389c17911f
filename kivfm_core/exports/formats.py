"""The table of export formats. Torch-free: `kivfm export --help` lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportFormat:
    """A kind of file that `kivfm export` writes.

    Attributes:
        name: As in `--format NAME`.
        summary: One line for help.
        suffix: Of its file.
        write: Reference to `(program, card, file) -> None`.
        run: Reference to `(file, [canvases], [prompts]) -> [outputs by name]`: how the check runs
            it, numpy arrays `[B, 3, H, W]`, and those of prompts by name, in and numpy arrays out,
            without kivfm.
        needs: What writing and checking need beside kivfm's own requirements, as PEP 508 has it.
        extra: The extra of kivfm that brings them.
        tasks: Whether a task can be exported; features always can.
        start: Reference to `(file) -> run`, which takes canvases and a prompt and gives outputs,
            for `--data`; empty where a score is not measured.
        dtypes: Keys of `--dtype`: what is written, and runs on this kind of processor.
        quantize: Reference to `(program, file, calibration)`, which turns the file to eight bits;
            empty where that is not done.
    """

    name: str
    summary: str
    suffix: str
    write: str
    run: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    tasks: bool = True
    start: str = ""
    dtypes: tuple[str, ...] = ("fp32",)
    quantize: str = ""


# The extra `onnx` of pyproject.toml: the oldest with which exports were seen to pass. With 2.6 they
# do not.
ONNX = ("onnx>=1.23", "onnxruntime>=1.32", "onnxscript>=0.7", "torch>=2.13")

_HOME = "kivfm_core.exports"
FORMATS: dict[str, ExportFormat] = {
    kind.name: kind
    for kind in (
        ExportFormat(
            name="onnx",
            summary="for ONNX Runtime, and what reads ONNX",
            suffix=".onnx",
            write=f"{_HOME}.onnx:write",
            run=f"{_HOME}.onnx:run",
            needs=ONNX,
            extra="onnx",
            start=f"{_HOME}.onnx:start",
            dtypes=("fp32", "fp16"),
            quantize=f"{_HOME}.quantize:quantize",
        ),
        ExportFormat(
            name="torch-export",
            summary="for a program that has torch alone",
            suffix=".pt2",
            write=f"{_HOME}.torch_export:write",
            run=f"{_HOME}.torch_export:run",
            start=f"{_HOME}.torch_export:start",
            dtypes=("fp32", "bf16"),
        ),
        ExportFormat(
            name="timm",
            summary="a state dict for timm.create_model; of a timm backbone, student or teacher",
            suffix=".safetensors",
            write=f"{_HOME}.timm:write",
            run=f"{_HOME}.timm:run",
            tasks=False,
        ),
        ExportFormat(
            name="safetensors",
            summary="the weights, and a JSON of the architecture",
            suffix=".safetensors",
            write=f"{_HOME}.safetensors:write",
            run=f"{_HOME}.safetensors:run",
            tasks=False,
        ),
    )
}
