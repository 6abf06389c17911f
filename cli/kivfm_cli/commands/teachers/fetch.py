"""`kivfm teachers fetch`: weights and tokenizers ahead of their first use."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kivfm_cli.output import Json, print_json
from kivfm_core.text import size


def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of the teachers.")],
    json: Json = False,
) -> None:
    """Download teachers' weights and tokenizers before their first use.

    Prints each file, its size and its SHA-256. Files on this machine are not downloaded again.
    """
    from kivfm_core.registry.registry import get_registry
    from kivfm_core.weights.fetch import file_sha256, obtain
    from kivfm_core.weights.locate import locate
    from kivfm_core.weights.tokenizer import obtain_tokenizer

    records: list[dict[str, Any]] = []
    # All names are resolved before the first download, so that a typing error downloads nothing.
    registry = get_registry()
    for spec in [registry.resolve(name) for name in names]:
        here = locate(spec.weights.source) is not None
        file = obtain(spec, offline_variant=registry.offline_variant(spec))
        record: dict[str, Any] = {
            "name": spec.name,
            "source": spec.weights.source,
            "status": "here already" if here else "fetched",
            "file": str(file),
            "bytes": file.stat().st_size,
            "sha256": file_sha256(file),
            "tokenizers": {
                task.task: str(folder)
                for task in spec.tasks
                if (folder := obtain_tokenizer(spec, task.task))
            },
        }
        records.append(record)
        if not json:
            print(f"{spec.name}: {record['status']}, {size(record['bytes'])}, {file}")
            print(f"  sha256 {record['sha256']}")
            for task, folder in record["tokenizers"].items():
                print(f"  tokenizer of {task}: {folder}")
    if json:
        print_json({"teachers": records})
