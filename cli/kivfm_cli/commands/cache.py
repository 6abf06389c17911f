"""`kivfm cache`: outputs of teachers, stored from run to run."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli import options as o
from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.errors import KivfmError, UsageError, printable
from kivfm_core.text import size

app = make_app(no_args_is_help=True, help="Manage caches of teacher outputs.")

Folder = Annotated[
    Path, typer.Argument(help="Cache folder, as cache.path of a configuration names it.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only report what would be done.")]


@app.command()
@partial(o.configured, without=("log",))
def build(
    *,
    flags: dict[str, Any],
    config: Path | None,
    sets: list[str] | None,
    dry_run: Dry = False,
    json: Json = False,
) -> None:
    """Compute the teachers' outputs for all stored views before a run, one teacher at a time.

    Takes the flags of `distill`, but `--log`. An interrupted build continues where it stopped. Size
    and time are estimated first, and a cache that does not fit on the disk is refused.
    """
    made = o.make_config(config, sets, flags, "cache build")
    if made.cache.path is None:
        raise UsageError("no cache is given", "--set cache.path=cache --set data.views=4")
    from kivfm_core.composition.compose import compose

    compose(made)
    from kivfm_cli.progress import make_progress
    from kivfm_core.distillation.cache_build.build import build as work
    from kivfm_core.processes.launch import is_first

    with closing(make_progress()) as progress:
        shares = work(made, progress, dry_run=dry_run)
    if not is_first():
        return
    taken = sum(share.bytes for share in shares)
    if json:
        networks = [asdict(share) for share in shares]
        print_json({"cache": made.cache.path, "bytes": taken, "networks": networks})
        return
    verb = "would store" if dry_run else "stored"
    print(f"{verb}: {size(taken)} in {made.cache.path}")
    print("next: kivfm distill, with the same teachers, data and settings")


@app.command()
def info(path: Folder, json: Json = False) -> None:
    """List the stores of a cache: source of the outputs, number of records, sizes, last use."""
    stores = [describe(folder, store) for folder, store in _stores(path)]
    if json:
        print_json({"cache": str(path), "bytes": sum(s["bytes"] for s in stores), "stores": stores})
        return
    _print(stores)
    print(f"in all {size(sum(store['bytes'] for store in stores))}")


@app.command()
def verify(path: Folder, json: Json = False) -> None:
    """Compare every record of a cache with its checksum.

    The exit code is 1 if a record is bad. A run computes bad records again when it needs them.
    """
    stores: list[dict[str, Any]] = []
    for folder, store in _stores(path):
        record = describe(folder, store)
        if not isinstance(store, KivfmError):
            bad = [place for place in store.places if store.read([place]) is None]
            record |= {"status": "wrong" if bad else "ok", "bad": len(bad)}
        stores.append(record)
    wrong = [store for store in stores if store["status"] != "ok"]
    if json:
        print_json({"cache": str(path), "stores": stores})
    else:
        _print(stores)
        print(f"bad records: {sum(store.get('bad', 0) for store in stores)}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def prune(
    path: Folder,
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="Keep the stores of this run or configuration file. May be repeated.",
        ),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS", min=0, help="Only remove stores that were not used for so many days."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all stores.")] = False,
    dry_run: Dry = False,
    json: Json = False,
) -> None:
    """Remove stores from a cache, but none that a running process uses; list what was removed."""
    if not (everything or keep or older_than is not None):
        raise UsageError(
            "it is not given what to remove",
            f"kivfm cache prune {path} --keep RUN, or --older-than 30",
        )
    from kivfm_core.cache.in_use import remove_unused

    kept = {name for file in keep or [] for name in _used(file)}
    age = 0.0 if older_than is None else older_than * 86400
    removed: list[dict[str, Any]] = []
    used: list[str] = []
    for folder, store in list(_stores(path)):
        try:
            record = describe(folder, store)
            if folder.name not in kept and time.time() - record["last_used"] >= age:
                if remove_unused(folder, dry_run=dry_run):
                    removed.append(record)
                else:
                    used.append(folder.name)
        except FileNotFoundError:
            continue  # another process has removed it meanwhile
    if json:
        print_json({"cache": str(path), "dry_run": dry_run, "removed": removed, "in_use": used})
        return
    _print(removed)
    word = "would remove" if dry_run else "removed"
    print(f"{word}: {len(removed)} stores, {size(sum(store['bytes'] for store in removed))}")
    if used:
        print(f"left, since a running process uses them: {', '.join(used)}")


def _stores(path: Path) -> Any:
    from kivfm_core.cache.meta import list_stores

    return list_stores(path)


def _used(run: Path) -> set[str]:
    """Folders of the stores that a run or a configuration file uses."""
    from kivfm_cli.progress import make_progress
    from kivfm_core.cache.key import hash_weights, list_store_keys
    from kivfm_core.composition.compose import compose
    from kivfm_core.config import build_config
    from kivfm_core.data.unlabeled import find_images
    from kivfm_core.distillation.demo_data import data_path
    from kivfm_core.distillation.processes.launch import resolve_precision
    from kivfm_core.run_files import RunFiles

    made = resolve_precision(build_config(RunFiles(run).config_file if run.is_dir() else run, {}))
    composition = compose(made)
    with closing(make_progress()) as progress:
        images = find_images(data_path(made, progress))
    keys = list_store_keys(made, composition, hash_weights(made, composition), images)
    return {key.folder for key in keys.values()}


def describe(folder: Path, store: Any) -> dict[str, Any]:
    """What a store is, as JSON."""
    meta = folder / "meta.json"
    record: dict[str, Any] = {
        "store": folder.name,
        "status": "ok",
        "bytes": sum(file.lstat().st_size for file in folder.iterdir()),
        "last_used": (meta if meta.exists() else folder).lstat().st_mtime,
    }
    if isinstance(store, KivfmError):
        return {**record, "status": "broken", "cause": store.message}
    return record | {
        "owner": store.key.source,
        "records": len(store),
        "record_bytes": store.bytes,
        "tensors": {name: list(shape) for name, shape in store.layout.items()},
        "depends_on": store.key.facts,
    }


def _print(stores: list[dict[str, Any]]) -> None:
    rows = [
        (
            store.get("owner", "?"),
            store["status"],
            str(store.get("records", "?")),
            size(store.get("record_bytes")),
            size(store["bytes"]),
            str(store.get("depends_on", {}).get("pictures", {}).get("number", "?")),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(store["last_used"])),
            store["store"],
        )
        for store in stores
    ]
    if rows:
        columns = ("outputs of", "status", "records", "a record", "in all", "images", "last used")
        print_table((*columns, "store"), rows)
    for store in stores:
        if "cause" in store:
            print(f"{store['store']} is broken: {printable(store['cause'])}")
