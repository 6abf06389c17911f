"""Every teacher's levels of an image where a student is used: latency and size of the ways.

    python -m benchmarks.deploy [--quick] [--students nano real] [--repeats 7] [--threads 1 2]

The teachers one after the other, the student's stand-ins one after the other, all of them in one
pass, and the student's features alone; each in eager PyTorch, in ONNX Runtime, and there in eight
bits; for one image and for batches of 8, on one and two threads. What is timed begins with canvases
and ends with levels: decoders are the same for teachers and stand-ins. Weights are random, which
does not change what is timed. All take turns in one process, round after round; medians count.
`--quick` leaves the real teachers' student out. Exit code 1 if ONNX Runtime is slower than eager
PyTorch for one image, or the real teachers' student in one pass slower than its teachers.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.common import machine, table, write_results
from benchmarks.deploy.ways import TEACHERS, TOGETHER, make_ways
from benchmarks.use.one_pass import STUDENTS
from kivfm_core.exports import onnx
from kivfm_core.exports.program import Program
from kivfm_core.exports.quantize import quantize
from kivfm_core.scenes.write import write_scenes

EAGER, FP32, INT8 = "PyTorch, eager", "ONNX Runtime", "ONNX Runtime, int8"
RUNTIMES = (EAGER, FP32, INT8)
BATCHES = (1, 8)
Call = Callable[[np.ndarray[Any, Any]], Any]
Times = dict[str, dict[str, list[float]]]


def main() -> int:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="nano teachers only")
    parser.add_argument("--students", nargs="*", default=["nano", "real"], choices=[*STUDENTS])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    found: dict[str, Any] = {}
    for name in args.students[: 1 if args.quick else None]:
        with TemporaryDirectory() as folder:
            found[name] = _measure(name, Path(folder), args.threads, args.repeats)
    record = {"machine": machine(), "repeats": args.repeats, "students": found}
    print(write_results("deploy", record, page))
    return int(not all(_holds(name, one) for name, one in found.items()))


def _measure(name: str, folder: Path, threads: list[int], repeats: int) -> dict[str, Any]:
    """Bytes, errors and seconds of one student's ways."""
    torch.set_num_threads(max(threads))
    ways = make_ways(name)
    images = folder / "scenes"
    write_scenes(images, train=8, val=0, per_class=0)
    files: dict[str, list[tuple[Path, Path]]] = {}
    errors: dict[str, list[float]] = {}
    for way, programs in ways.items():
        files[way], errors[way] = [], []
        for number, program in enumerate(programs):
            place = folder / f"{len(files)}-{number}.onnx"
            pair, error = _export(program, place, images / "train")
            files[way].append(pair)
            errors[way].append(error)
        print(f"{name}: {way}: largest error {max(errors[way]):.1e}", flush=True)
    size = {
        runtime: {way: sum(pair[i].stat().st_size for pair in files[way]) for way in ways}
        for i, runtime in enumerate((FP32, INT8))
    }
    seconds: dict[str, Any] = {}
    for count in threads:
        torch.set_num_threads(count)
        calls = {way: _calls(ways[way], files[way], count) for way in ways}
        for batch in BATCHES:
            took = _rounds(ways, calls, batch, repeats)
            seconds[f"{batch} x {count}"] = took
            print(name, batch, count, {w: {r: round(median(t), 4) for r, t in x.items()}
                                       for w, x in took.items()}, flush=True)  # fmt: skip
    return {
        "canvases": {way: [program.size for program in ways[way]] for way in ways},
        "bytes": size,
        "largest_error": {way: max(found) for way, found in errors.items()},
        "seconds": seconds,
    }


def _export(program: Program, file: Path, images: Path) -> tuple[tuple[Path, Path], float]:
    """Files in full precision and in eight bits, and the largest error of the first."""
    onnx.write(program, {}, file)
    small = file.with_name(f"small-{file.name}")
    small.write_bytes(file.read_bytes())
    quantize(program, small, images)
    canvas = torch.rand(2, 3, *program.size)
    right, (found,) = program.run(canvas), onnx.run(file, [canvas.numpy()])
    errors = [np.abs(right[n].numpy() - found[n]).max() / right[n].abs().max() for n in found]
    return (file, small), float(max(errors))


def _calls(
    programs: list[Program], files: list[tuple[Path, Path]], threads: int
) -> dict[str, list[Call]]:
    """What runs each program, by runtime."""
    return {
        EAGER: [lambda x, one=program: one.run(torch.from_numpy(x)) for program in programs],
        FP32: [_session(full, threads) for full, _ in files],
        INT8: [_session(small, threads) for _, small in files],
    }


def _session(file: Path, threads: int) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for work in a loop would slow whoever's turn is next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    return lambda canvas: session.run(None, {"canvas": canvas})


def _rounds(
    ways: Mapping[str, list[Program]], calls: Mapping[str, Mapping[str, list[Call]]],
    batch: int, repeats: int,
) -> Times:  # fmt: skip
    """Seconds of every way in every runtime, by turns; the round before the first warms up."""
    given = {
        way: [np.random.rand(batch, 3, *program.size).astype(np.float32) for program in programs]
        for way, programs in ways.items()
    }
    took: Times = {way: {runtime: [] for runtime in RUNTIMES} for way in ways}
    for number in range(repeats + 1):
        for way in ways:
            for runtime in RUNTIMES:
                began = time.perf_counter()
                for call, canvas in zip(calls[way][runtime], given[way], strict=True):
                    call(canvas)
                if number:
                    took[way][runtime].append(round(time.perf_counter() - began, 5))
    return took


def _holds(name: str, found: Mapping[str, Any]) -> bool:
    """Whether the bars hold: for one image, on as few threads as were measured."""
    took = next(iter(found["seconds"].values()))
    middle = {way: {r: median(t) for r, t in times.items()} for way, times in took.items()}
    return all(times[FP32] <= times[EAGER] for times in middle.values()) and (
        name == "nano" or middle[TOGETHER][FP32] < middle[TEACHERS][FP32]
    )


def page(record: Mapping[str, Any]) -> list[str]:
    """A table for each student: milliseconds, ratios, and sizes."""
    lines = [
        "# Where a student is used",
        "",
        "Every teacher's levels, from canvases: milliseconds for a batch, medians of "
        f"{record['repeats']} rounds in which all take turns. In brackets: times as fast as the "
        "teachers in the same runtime. Weights are random.",
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
            size = found["bytes"].get(runtime)
            cells = [_cell(took, way, runtime) for took in found["seconds"].values()]
            rows.append([way, runtime, *cells, f"{size[way] / 2**20:.1f}" if size else ""])
    heads = [
        f"{'one image' if batch == '1' else f'{batch} images'}, "
        f"{'one thread' if threads == '1' else f'{threads} threads'}"
        for batch, threads in (key.split(" x ") for key in found["seconds"])
    ]
    return table(" | ".join(["what", "runtime", *heads, "MiB"]), rows)


def _cell(took: Times, way: str, runtime: str) -> str:
    own, teachers = (median(took[one][runtime]) for one in (way, TEACHERS))
    return f"{1000 * own:.1f}" + ("" if way == TEACHERS else f" ({teachers / own:.2f})")


if __name__ == "__main__":
    sys.exit(main())
