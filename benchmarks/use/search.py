"""Search in a file of features: reading it, and finding the nearest, by the kind of the file.

    python -m benchmarks.use.search [--rounds 5] [--rows 100000] [--channels 512]

Each round is a process of its own for each kind, in turn: memory that a process had before makes
reading look fast. torch is imported before, as in the command. Processor time stands beside wall
time, which a busy machine changes. Where FAISS is installed, its exact index is filled and searched
beside, with one query and with many. Exit code 1 if a kind misses the bar.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import ROOT, machine, table, write_results

# Seconds in which the nearest are found in a file, at most, by the processor's time.
BAR = 1.0
PARTS = ("own", "fill", "search")
KEYS = ("read", "read_processor", "search", "search_processor")
SEARCH = """
import json, sys, time
from pathlib import Path
import torch
from kivfm_core.embedding.nearest import best, read_index, similarities
from kivfm_core.embedding.table import file_kind
file_kind(Path(sys.argv[1]))  # imports what the kind needs
def now():
    return time.perf_counter(), time.process_time()
began = now()
content = read_index(Path(sys.argv[1]))
read = now()
found = best(similarities(content.vectors, content.vectors[7]), 10)
done = now()
assert found[0] == 7
print(json.dumps({
    "read": read[0] - began[0], "read_processor": read[1] - began[1],
    "search": done[0] - read[0], "search_processor": done[1] - read[1],
}))
"""

# One query and many: as `kivfm embed --nearest` finds them, and by an index of FAISS.
QUERIES = (1, 100)
FAISS = """
import json, sys, time
from pathlib import Path
import faiss
import numpy as np
from kivfm_core.embedding.nearest import best, read_index, similarities
vectors = read_index(Path(sys.argv[1])).vectors
found = []
for number in json.loads(sys.argv[2]):
    times = [time.process_time()]
    own = [best(similarities(vectors, query), 10) for query in vectors[:number]]
    times.append(time.process_time())
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    times.append(time.process_time())
    places = index.search(unit[:number], 10)[1]
    times.append(time.process_time())
    assert (np.array(own) == places).all()
    found.append(dict(zip(("own", "fill", "search"), np.diff(times).tolist())))
print(json.dumps(found))
"""


def main() -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.use.search", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--channels", type=int, default=512)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        files = [_write(Path(name), end, args.rows, args.channels) for end in _kinds()]
        rounds = [{file.suffix: _search(file) for file in files} for _ in range(args.rounds)]
        faiss = [_faiss(files[0]) for _ in range(args.rounds)] if find_spec("faiss") else []
        sizes = {file.suffix: file.stat().st_size for file in files}
    record = {
        "machine": machine(),
        "rows": args.rows,
        "channels": args.channels,
        "bytes": sizes,
        "rounds": rounds,
        "faiss": faiss,
    }
    print(write_results("use.search", record, page))
    return int(max(_seconds(record, end)["processor"] for end in sizes) > BAR)


def _kinds() -> tuple[str, ...]:
    from kivfm_core.embedding.table import KINDS

    return tuple(KINDS)


def _write(folder: Path, end: str, rows: int, channels: int) -> Path:
    """A file of random vectors, written as `embed` writes it."""
    from kivfm_core.embedding.table import file_kind

    file, rng = folder / f"index{end}", np.random.default_rng(0)
    manifest = {"schema": 1, "sha256": "", "teacher": None, "level": "x", "channels": channels}
    with file.open("w+b") as opened:
        writer = file_kind(file).writer(opened, folder)
        for start in range(0, rows, 1000):
            names = [f"photos/{i:08}.jpg" for i in range(start, min(start + 1000, rows))]
            vectors = rng.standard_normal((len(names), channels), dtype=np.float32)
            writer.write(names, {"vector": vectors})
        writer.finish(manifest)
        writer.close()
    return file


def _search(file: Path) -> dict[str, float]:
    found = {name: round(seconds, 3) for name, seconds in _apart(SEARCH, file).items()}
    print(file.suffix, found, flush=True)
    return found


def _faiss(file: Path) -> list[dict[str, float]]:
    """Seconds of the processor for each part, for each number of queries."""
    parts = _apart(FAISS, file, json.dumps(QUERIES))
    found = [{name: round(seconds, 4) for name, seconds in one.items()} for one in parts]
    print("faiss", found, flush=True)
    return found


def _apart(script: str, *words: str | Path) -> Any:
    """What a script prints, run by a process of its own on one thread."""
    said = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    return json.loads(said)


def _seconds(record: Mapping[str, Any], end: str) -> dict[str, float]:
    """Medians over the rounds; `processor` is that of both parts."""
    rounds = [found[end] for found in record["rounds"]]
    spent = [found["read_processor"] + found["search_processor"] for found in rounds]
    return {key: median(f[key] for f in rounds) for key in rounds[0]} | {"processor": median(spent)}


def page(record: Mapping[str, Any]) -> list[str]:
    """A table, as lines."""
    found = {end: _seconds(record, end) for end in record["bytes"]}
    rows = [
        [end, f"{record['bytes'][end] / 2**20:.0f}", *(f"{s[key]:.2f}" for key in KEYS)]
        for end, s in found.items()
    ]
    columns = "file | MiB | reading, s | of processor | finding 10, s | of processor"
    worst = max(seconds["processor"] for seconds in found.values())
    return [
        "# Search in a file of features",
        "",
        f"{record['rows']} vectors of {record['channels']} channels, medians of "
        f"{len(record['rounds'])} rounds. One thread, without loading the model:",
        "",
        *table(columns, rows),
        "",
        f"The slowest takes {worst:.2f} s of processor time for both (bar: at most {BAR:.0f} s).",
        "",
        *_beside_faiss(record["faiss"]),
    ]


def _beside_faiss(rounds: Sequence[Sequence[Mapping[str, float]]]) -> list[str]:
    """A table of an exact index of FAISS beside our own search; none if it was not installed."""
    if not rounds:
        return []
    rows = [
        [str(number), *(f"{median(found[i][key] for found in rounds):.3f}" for key in PARTS)]
        for i, number in enumerate(QUERIES)
    ]
    return [
        "Finding 10 for each query, as `--nearest` does, and by FAISS's `IndexFlatIP`, which finds"
        " the same:",
        "",
        *table("queries | ours, s | FAISS: filling, s | searching, s", rows),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
