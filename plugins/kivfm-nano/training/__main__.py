"""Train all five teachers, two at a time, then measure them."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from training.pool import load_pool

RECIPES = ("dino", "detector", "clip", "sam", "segmenter")


def run(module: str) -> None:
    """Run one module of this folder, in a process of its own."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", f"training.{module}"], check=True)
    print(f"{module}: {time.monotonic() - begun:.0f} s", flush=True)


def main() -> None:
    """Train and measure."""
    load_pool()  # drawn once, by all cores
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, RECIPES))
    run("score")


if __name__ == "__main__":
    main()
