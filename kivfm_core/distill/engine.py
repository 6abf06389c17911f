"""The engine: plan, load, fit the aligners, train, and write the run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.bundle import write_bundle
from kivfm_core.compose import compose
from kivfm_core.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.distill.assemble import assemble
from kivfm_core.distill.calibrate import calibrate
from kivfm_core.distill.checkpoint import load_checkpoint, save_checkpoint
from kivfm_core.distill.demo import demo_images
from kivfm_core.distill.loop import train
from kivfm_core.distill.progress import Progress, Silent
from kivfm_core.distill.schedule import make_optimizer
from kivfm_core.distill.stream import Stream
from kivfm_core.errors import UsageError
from kivfm_core.run import Run, open_run
from kivfm_core.weights import Provenance


def distill(
    config: RunConfig | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Distills the teachers of a configuration into one student.

    Args:
        config: What to do; with `resume`, the run's own configuration is used.
        out: The run folder; `runs/` and the time of day by default.
        resume: A run folder to go on with.
        steps: With `resume`, another length for the run; the learning rate follows it.
        progress: Watches.

    Returns:
        The run folder.

    Raises:
        UsageError: If the configuration is wrong, or the folder is not empty.
        WeightsError: If a teacher's weights cannot be had.
        DataError: If there are no pictures, or too many bad ones.
    """
    watch = progress or Silent()
    if resume is not None:
        run = open_run(resume)
        config, composition = _lengthened(run, steps), run.composition
    elif config is not None:
        config = config.anchored()
        run = _new_run(out)
        composition = compose(config)
    else:
        raise UsageError("nothing to distill", "give a configuration, or a run to resume")
    _work(run, config, composition, watch, resumed=resume is not None)
    return run.path


def _lengthened(run: Run, steps: int | None) -> RunConfig:
    if steps is None:
        return run.config
    optim = run.config.optim.model_copy(update={"steps": steps})
    config = run.config.model_copy(update={"optim": optim})
    run.write_plan(config, run.composition)
    return config


def _new_run(out: str | Path | None) -> Run:
    path = Path(out) if out is not None else Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            f"the run folder {path} is not empty",
            f"go on with it: kivfm distill --resume {path}; or choose another: --out {path}-2",
        )
    return Run(path)


def _work(
    run: Run, config: RunConfig, composition: Composition, watch: Progress, resumed: bool
) -> None:
    """All stages, in order."""
    engine = config.engine
    fabric = Fabric(
        devices=engine.devices,
        num_nodes=engine.nodes,
        precision=engine.precision,  # pyright: ignore[reportArgumentType]
        strategy=engine.strategy,
    )
    fabric.launch()

    def say(text: str) -> None:
        if fabric.is_global_zero:
            watch.message(text)

    torch.manual_seed(config.seed)
    # First what can fail for want of a file; the demo scenes take a minute to draw.
    parts = assemble(config, composition, fabric.device, say)
    student = parts.student
    with fabric.rank_zero_first(local=True):
        folder = Path(config.data.path) if config.data.path else demo_images(watch)
    stream = Stream(config, composition, parts.asked, folder, fabric, say)
    optimizer = make_optimizer(student, config.optim)
    first = 0
    if resumed:
        _check_unchanged(run, parts.provenance, stream.digest)
        first = load_checkpoint(run.checkpoints, student, optimizer)
        say(f"resuming at step {first}")
    else:
        steps = -(-config.optim.calibration // config.optim.batch_size)
        say(f"fitting aligners on {steps * config.optim.batch_size} views")
        kept = calibrate(
            student,
            (targets for _, targets, _ in stream.steps(0, steps)),
            lambda tensor: cast(Tensor, fabric.all_reduce(tensor, reduce_op="sum")),
        )
        if fabric.is_global_zero:
            facts = {"round_trip": kept, "pictures": stream.digest}
            run.write_plan(config, composition)
            run.write_environment(config.seed, parts.provenance, **facts)
            save_checkpoint(run.checkpoints, 0, student, optimizer, config.checkpoint.keep)
    train(run, config, student, optimizer, stream, fabric, watch, first)
    if fabric.is_global_zero:
        write_bundle(student, run.bundle)


def _check_unchanged(run: Run, weights: Mapping[str, Provenance | None], pictures: str) -> None:
    for name, provenance in weights.items():
        run.check_same(name, provenance)
    known = run.environment.get("pictures", pictures)
    if known != pictures:
        raise UsageError(
            f"the pictures are not those that {run.path} began with ({known}; now {pictures})",
            "put them back, or start anew with --out",
        )
