"""Every teacher's levels of an image where a student is used: latency, memory and size of the ways.

    python -m benchmarks.deploy [--students nano real large] [--repeats 3] [--threads 1 2] [--alone]

The teachers one after the other, all of the student's stand-ins in one pass, and the student's
features alone (with `--alone` the stand-ins one after the other, too); each in eager PyTorch,
compiled (where there is a C++ compiler), in ONNX Runtime, and there in eight bits; for one image
and for batches of 8, on one and two threads. What is timed begins with canvases and ends with
levels: decoders are the same for teachers and stand-ins. Weights are random, which does not change
what is timed. All take turns in one process, round after round; medians count. The large student,
of clip, dino and sam, is measured for one image: eight canvases of SAM take 6 GiB in one layer. Its
teachers are not written in eight bits, and nothing of it is compiled, which would take most of the
time. Exit code 1 if ONNX Runtime is slower than eager PyTorch for one image, or a student in one
pass too slow beside its teachers: FASTER says how fast.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.common import machine, table, write_results
from benchmarks.deploy.memory import peak
from benchmarks.deploy.ways import ALONE, FEATURES, TEACHERS, TOGETHER, make_ways
from benchmarks.use.one_pass import STUDENTS
from kivfm_core.exports import onnx
from kivfm_core.exports.program import Program
from kivfm_core.exports.quantize import quantize
from kivfm_core.scenes.write import write_scenes

EAGER, COMPILED = "PyTorch, eager", "PyTorch, compiled"
FP32, INT8 = "ONNX Runtime", "ONNX Runtime, int8"
RUNTIMES = (EAGER, COMPILED, FP32, INT8)
# Times as fast as its teachers, at least, in one pass; the nano ones are too small for a bar.
FASTER = {"real": 1.0, "large": 3.0}
Call = Callable[[np.ndarray[Any, Any]], Any]
Calls = dict[str, dict[str, list[Call]]]
Files = dict[str, list[tuple[Path, Path | None]]]
Times = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Extent:
    """How much of a student is measured, by how much it costs.

    Attributes:
        batches: Images in a batch.
        compiled: The ways that are compiled, for one image.
        int8: The ways that are written in eight bits.
        ways: What is measured.
    """

    batches: tuple[int, ...] = (1, 8)
    compiled: tuple[str, ...] = (TEACHERS, TOGETHER)
    int8: tuple[str, ...] = (TEACHERS, ALONE, TOGETHER, FEATURES)
    ways: tuple[str, ...] = (TEACHERS, TOGETHER, FEATURES)


EXTENTS = {"large": Extent((1,), (), (TOGETHER, FEATURES))}


def main() -> int:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("--students", nargs="*", default=[*STUDENTS], choices=[*STUDENTS])
    parser.add_argument("--quick", action="store_true", help="nano teachers only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--alone", action="store_true", help="stand-ins one by one, too")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    found: dict[str, Any] = {}
    for name in ["nano"] if args.quick else args.students:
        extent, began = EXTENTS.get(name, Extent()), time.perf_counter()
        if args.alone:
            extent = replace(extent, ways=(TEACHERS, ALONE, TOGETHER, FEATURES))
        with TemporaryDirectory() as folder:
            found[name] = _measure(name, extent, Path(folder), args.threads, args.repeats)
        found[name]["took"] = round(time.perf_counter() - began)
        print(f"{name}: {found[name]['took']} s", flush=True)
    record = {"machine": machine(), "repeats": args.repeats, "students": found}
    print(write_results("deploy", record, page))
    return int(not all(_holds(name, one) for name, one in found.items()))


def _measure(
    name: str, extent: Extent, folder: Path, threads: list[int], repeats: int
) -> dict[str, Any]:
    """Bytes, errors and seconds of one student's ways."""
    torch.set_num_threads(max(threads))
    ways = {way: programs for way, programs in make_ways(name).items() if way in extent.ways}
    files, errors = _write(name, ways, extent, folder)
    seconds: dict[str, Any] = {}
    memory: dict[str, Any] = {}
    for count in threads:
        torch.set_num_threads(count)
        torch.compiler.reset()
        calls = {way: _calls(ways[way], files[way], count) for way in ways}
        for batch in extent.batches:
            if batch == 1 and which("c++"):
                for way in extent.compiled:
                    calls[way][COMPILED] = [_compiled(program) for program in ways[way]]
            else:
                calls = {w: {r: c for r, c in x.items() if r != COMPILED} for w, x in calls.items()}
            given = {way: [_canvas(p, batch) for p in programs] for way, programs in ways.items()}
            if not memory:  # of first calls: what a runtime keeps for later ones counts
                memory = _memory(calls, given)
            took = _rounds(calls, given, repeats)
            seconds[f"{batch} x {count}"] = took
            print(name, batch, count, {w: {r: round(median(t), 4) for r, t in x.items()}
                                       for w, x in took.items()}, flush=True)  # fmt: skip
    return {
        "canvases": {way: [program.size for program in ways[way]] for way in ways},
        "bytes": _sizes(ways, files),
        "memory": memory,
        "largest_error": {way: max(found) for way, found in errors.items()},
        "seconds": seconds,
    }


def _write(
    name: str, ways: Mapping[str, list[Program]], extent: Extent, folder: Path
) -> tuple[Files, dict[str, list[float]]]:
    """Every program's files, and the largest errors of those in full precision."""
    images = folder / "scenes"
    write_scenes(images, train=8, val=0, per_class=0)
    files: Files = {}
    errors: dict[str, list[float]] = {}
    for way, programs in ways.items():
        files[way], errors[way] = [], []
        calibration = images / "train" if way in extent.int8 else None
        for number, program in enumerate(programs):
            pair, error = _export(program, folder / f"{len(files)}-{number}.onnx", calibration)
            files[way].append(pair)
            errors[way].append(error)
        print(f"{name}: {way}: largest error {max(errors[way]):.1e}", flush=True)
    return files, errors


def _sizes(ways: Mapping[str, list[Program]], files: Files) -> dict[str, dict[str, int]]:
    """Bytes of each way: its tensors in PyTorch, its files elsewhere."""
    sizes: dict[str, dict[str, int]] = {EAGER: {}, FP32: {}, INT8: {}}
    for way, programs in ways.items():
        own = [x for program in programs for x in program.network.state_dict().values()]
        sizes[EAGER][way] = sum(x.numel() * x.element_size() for x in own)
        sizes[FP32][way] = sum(full.stat().st_size for full, _ in files[way])
        if all(small for _, small in files[way]):
            sizes[INT8][way] = sum(small.stat().st_size for _, small in files[way] if small)
    return sizes


def _export(
    program: Program, file: Path, images: Path | None
) -> tuple[tuple[Path, Path | None], float]:
    """Files in full precision and, with images, in eight bits; the largest error of the first."""
    onnx.write(program, {}, file)
    small: Path | None = None
    if images is not None:
        small = file.with_name(f"small-{file.name}")
        onnx.write(program, {}, small)
        quantize(program, small, images)
    canvas = torch.rand(1, 3, *program.size)
    right, (found,) = program.run(canvas), onnx.run(file, [canvas.numpy()])
    errors = [np.abs(right[n].numpy() - found[n]).max() / right[n].abs().max() for n in found]
    return (file, small), float(max(errors))


def _calls(
    programs: list[Program], files: list[tuple[Path, Path | None]], threads: int
) -> dict[str, list[Call]]:
    """What runs each program, by runtime."""
    calls: dict[str, list[Call]] = {
        EAGER: [lambda x, one=program: one.run(torch.from_numpy(x)) for program in programs],
        FP32: [_session(full, threads) for full, _ in files],
    }
    small = [file for _, file in files if file]
    return calls | ({INT8: [_session(file, threads) for file in small]} if small else {})


def _compiled(program: Program) -> Call:
    module = torch.compile(program.module, dynamic=False)

    def run(canvas: np.ndarray[Any, Any]) -> object:
        with torch.no_grad():
            return module(torch.from_numpy(canvas))

    return run


def _canvas(program: Program, batch: int) -> np.ndarray[Any, Any]:
    return np.random.rand(batch, 3, *program.size).astype(np.float32)


def _memory(calls: Calls, given: Mapping[str, list[np.ndarray[Any, Any]]]) -> dict[str, Any]:
    """Bytes that the first call takes beyond the weights, of the program that takes most."""
    found: dict[str, Any] = {}
    for way, runtimes in calls.items():
        for runtime, own in runtimes.items():
            if runtime != COMPILED:  # its first call compiles
                pairs = zip(own, given[way], strict=True)
                peaks = [peak(partial(call, canvas)) for call, canvas in pairs]
                found.setdefault(runtime, {})[way] = max((p for p in peaks if p), default=None)
    return found


def _session(file: Path, threads: int) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for work in a loop would slow whoever's turn is next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    return lambda canvas: session.run(None, {"canvas": canvas})


def _rounds(calls: Calls, given: Mapping[str, list[np.ndarray[Any, Any]]], repeats: int) -> Times:
    """Seconds of every way in every runtime, by turns; the round before the first warms up."""
    took: Times = {way: {runtime: [] for runtime in own} for way, own in calls.items()}
    for number in range(repeats + 1):
        for way, runtimes in calls.items():
            for runtime, own in runtimes.items():
                began = time.perf_counter()
                for call, canvas in zip(own, given[way], strict=True):
                    call(canvas)
                if number:
                    took[way][runtime].append(round(time.perf_counter() - began, 5))
    return took


def _holds(name: str, found: Mapping[str, Any]) -> bool:
    """Whether the bars hold: for one image, on as few threads as were measured."""
    took = next(iter(found["seconds"].values()))
    middle = {way: {r: median(t) for r, t in times.items()} for way, times in took.items()}
    return all(times[FP32] <= times[EAGER] for times in middle.values()) and (
        FASTER.get(name, 0) * middle[TOGETHER][FP32] <= middle[TEACHERS][FP32]
    )


def page(record: Mapping[str, Any]) -> list[str]:
    """A table for each student: milliseconds, ratios, and sizes."""
    lines = [
        "# Where a student is used",
        "",
        "Every teacher's levels, from canvases: milliseconds for a batch, medians of "
        f"{record['repeats']} rounds in which all take turns. In brackets: times as fast as the "
        "teachers in the same runtime. Weights are random. *MiB to run* is what the first call for "
        "one image takes, beyond the weights, of the largest network; *MiB* is on disk, or, in "
        "PyTorch, of the tensors.",
        "",
    ]
    where = record["machine"]
    if where["load"] > where["cores"]:
        lines += [
            f"The machine was busy (load {where['load']}): threads that wait for each other wait "
            "for others' work, too, so columns of two threads tell little.",
            "",
        ]
    for name, found in record["students"].items():
        lines += [f"## {name}: `{STUDENTS[name][0]}`", "", *_table(found), ""]
        worst = max(found["largest_error"].values())
        lines += [
            f"ONNX Runtime gives what PyTorch gives: the largest error is {worst:.1e} of an "
            "output's largest value.",
            "",
        ]
    return lines


def _table(found: Mapping[str, Any]) -> list[str]:
    rows: list[list[str]] = []
    for way in found["canvases"]:
        for runtime in RUNTIMES:
            cells = [_cell(took, way, runtime) for took in found["seconds"].values()]
            if any(cells):
                more = (found.get(key, {}).get(runtime, {}).get(way) for key in ("memory", "bytes"))
                sizes = (f"{size / 2**20:.1f}" if size else "" for size in more)
                rows.append([way, runtime, *cells, *sizes])
    heads = [
        f"{'one image' if batch == '1' else f'{batch} images'}, "
        f"{'one thread' if threads == '1' else f'{threads} threads'}"
        for batch, threads in (key.split(" x ") for key in found["seconds"])
    ]
    return table(" | ".join(["what", "runtime", *heads, "MiB to run", "MiB"]), rows)


def _cell(took: Times, way: str, runtime: str) -> str:
    """Milliseconds; in brackets, how many times as fast as the teachers, where they were run."""
    if runtime not in took[way]:
        return ""
    own, teachers = median(took[way][runtime]), took[TEACHERS].get(runtime)
    ratio = "" if way == TEACHERS or not teachers else f" ({median(teachers) / own:.2f})"
    return f"{1000 * own:.1f}{ratio}"


if __name__ == "__main__":
    sys.exit(main())
