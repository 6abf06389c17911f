"""`kivfm plugins`: the distributions behind the teachers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.registry.entry import Entry

app = make_app(
    no_args_is_help=True, help="Inspect plugins: the installed packages that provide teachers."
)


@app.callback()
def _group() -> None: ...


@app.command("list")
def list_command(json: Json = False) -> None:
    """List plugins: their teachers, the time they take to load, and their problems."""
    plugins = describe_plugins()
    if json:
        print_json({"plugins": plugins})
        return
    rows = [
        (
            plugin["distribution"],
            plugin["version"],
            str(len(plugin["names"])),
            f"{plugin['milliseconds']:.0f}",
            plugin["heavy"] or "",
            f"{len(plugin['problems'])} wrong" if plugin["problems"] else "ok",
        )
        for plugin in plugins
    ]
    print_table(("distribution", "version", "names", "ms", "heavy import", "status"), rows)
    for plugin in plugins:
        for problem in plugin["problems"]:
            print(f"\n{problem['name']} is {problem['status']}: {problem['cause']}")
            print(f"  {problem['hint']}")


def describe_plugins() -> list[dict[str, Any]]:
    """Every distribution that has a plugin, as JSON-able data."""
    from kivfm_core.registry.registry import get_registry

    given: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in get_registry().entries:
        given[entry.distribution].append(entry)
    return [_describe(entries) for entries in given.values()]


def _describe(entries: list[Entry]) -> dict[str, Any]:
    times = {entry.point: entry.milliseconds for entry in entries}
    return {
        "distribution": entries[0].distribution,
        "version": entries[0].version,
        "milliseconds": round(sum(times.values()), 2),
        "names": [entry.name for entry in entries],
        "heavy": next((entry.heavy for entry in entries if entry.heavy), None),
        "problems": [
            {"name": e.name, "status": e.status, "cause": e.cause, "hint": e.hint}
            for e in entries
            if e.cause
        ],
    }
