"""The cache of teacher outputs: speed beside a raw memory map, bytes, and what encodings lose.

    python -m benchmarks.cache [--records 1000] [--rounds 7] [--images 60] [--folder /tmp]

Nothing is trained: what is lost is measured by the teachers' own decoders, which get levels that
were encoded and decoded. Exit code 1 if a speed is below its bar. What a student keeps with an
encoding takes a run of `benchmarks.nano` each, with `--set cache.encoding=int8`, say; those that
were made are in docs/how-to/cache-teacher-outputs.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cache.loss import measure_losses
from benchmarks.cache.speed import BATCH, SHAPE, measure_speeds
from benchmarks.common import KEEP_FREED, machine, table, write_results

# Share of the raw map's speed; not of reads that compare checksums.
BAR = 0.8
BARRED = ("write", "warm", "cold")


def main() -> int:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=60, help="scenes to measure decoders on")
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="on the disk to measure")
    args = parser.parse_args()
    if not KEEP_FREED.items() <= os.environ.items():
        # As in the other benchmarks; else batches' pages, ours and the raw map's, are the noise.
        words = [sys.executable, "-m", "benchmarks.cache", *sys.argv[1:]]
        os.execve(sys.executable, words, os.environ | KEEP_FREED)
    record: dict[str, Any] = {
        "records": args.records,
        **measure_speeds(args.folder, args.records, args.rounds),
        "losses": measure_losses(args.folder, args.images),
        "machine": machine(),
    }
    print(write_results("cache", record, page))
    return int(any(_share(record["seconds"][name]) < BAR for name in BARRED))


def _share(times: Mapping[str, list[float]]) -> float:
    """The raw map's time over ours."""
    return median(times["raw"]) / median(times["ours"])


def page(record: Mapping[str, Any]) -> list[str]:
    """Speeds, sizes and losses, as lines."""
    count, bytes_ = record["records"], record["bytes"]
    rounds = len(record["seconds"]["warm"]["raw"])
    rate = bytes_["raw"] * count / 1e9
    speeds = [
        [name, f"{rate / median(times['raw']):.2f}", f"{rate / median(times['ours']):.2f}",
         f"{_share(times):.2f}", f"{_share(record['cpu'][name]):.2f}",
         str(BAR) if name in BARRED else ""]
        for name, times in record["seconds"].items()
    ]  # fmt: skip
    sizes = [
        [name, f"{taken:.0f}", f"{taken / bytes_['raw']:.3f}"] for name, taken in bytes_.items()
    ]
    losses = [
        [row["teacher"], row["task"], row["encoding"], str(row["bytes"]), f"{row['own']:.3f}",
         f"{row['decoded']:.3f}", f"{row['decoded'] / row['own']:.3f}"]
        for row in record["losses"]
    ]  # fmt: skip
    return [
        "# Cache",
        "",
        f"{count} records of {SHAPE[0] + 1} tokens of {SHAPE[1]} numbers, {BATCH} at a time; "
        f"random reads that give float32. Medians of {rounds}, in turn with a raw memory map of "
        "the same bytes. `cold`: nothing is in the page cache. `first`: the files are opened, and "
        "the cache compares its checksums, once a process. `write` waits for the disk after every "
        "batch, as the cache does.",
        "",
        *table("what | raw map, GB/s | cache, GB/s | share | share of CPU time | bar", speeds),
        "",
        *table("encoding | bytes an image | of bfloat16 tokens", sizes),
        "",
        "What teachers' own decoders make of levels that were encoded and decoded: a bound on what "
        "an encoding costs. A number is `student.latent`.",
        "",
        *table("teacher | task | encoding | bytes a view | own | decoded | kept", losses),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
