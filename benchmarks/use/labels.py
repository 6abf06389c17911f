"""Whether saved labels read back equal: fuzzed label sets in every format, saves interrupted once.

    python -m benchmarks.use.labels [--sets 500] [--seed 0]

Hypothesis makes the sets, and shrinks one that fails to the smallest. Every format gets as many.
Exit code 1 if a set does not read back equal.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.common import machine, table, write_results
from benchmarks.use.label_sets import COMPARE, check_round_trip, label_sets
from kivfm_core.data.saving.table import SAVERS


def main() -> int:
    """Saves, reads, compares, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.use.labels", description=__doc__)
    parser.add_argument("--sets", type=int, default=500, help="of each format")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = {name: measure(name, args.sets, args.seed) for name in SAVERS}
    record = {"sets": args.sets, "formats": rows, "machine": machine()}
    print(write_results("use.labels", record, page))
    return int(any(row["failure"] for row in rows.values()))


def measure(name: str, sets: int, start: int) -> dict[str, Any]:
    """What was saved in a format, and the smallest set that fails, if one does."""
    counts = dict.fromkeys(("sets", "images", "empty", "objects", "masks"), 0)

    @seed(start)
    @settings(max_examples=sets, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        labels = data.draw(label_sets(name))
        with TemporaryDirectory() as folder:
            check_round_trip(name, labels, Path(folder) / "labels")
        counts["sets"] += 1
        for image in labels.images:
            counts["images"] += 1
            counts["empty"] += not image.objects and "boxes" in SAVERS[name].holds
            counts["objects"] += len(image.objects)
            counts["masks"] += sum(item.mask is not None for item in image.objects)

    began, failure = perf_counter(), ""
    try:
        check()
    except Exception:
        failure = traceback.format_exc()
    return {**counts, "seconds": round(perf_counter() - began, 1), "failure": failure}


def page(record: Mapping[str, Any]) -> list[str]:
    """A row a format, as lines."""
    rows = [
        [name, *(str(row[key]) for key in ("sets", "images", "empty", "objects", "masks")),
         "no" if row["failure"] else "yes", (COMPARE[name].__doc__ or "").rstrip(".")]
        for name, row in record["formats"].items()
    ]  # fmt: skip
    return [
        "# Saved labels, read back",
        "",
        f"{record['sets']} fuzzed label sets of each format: any names of classes and files,"
        " folders in folders, images that show nothing, masks that hide each other. Each save is"
        " interrupted once and goes on.",
        "",
        *table(
            "format | sets | images | without objects | objects | masks | equal | compared", rows
        ),
        "",
        *(row["failure"] for row in record["formats"].values() if row["failure"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
