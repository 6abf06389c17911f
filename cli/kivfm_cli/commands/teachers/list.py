"""`kivfm teachers list`: every teacher that is installed, and every plugin that failed."""

from __future__ import annotations

from kivfm_cli.output import Json, print_json, print_table


def list_command(json: Json = False) -> None:
    """List teachers, libraries usable by name (as timm/NAME), and plugins that failed to load."""
    from kivfm_cli.commands.teachers.describe import COLUMNS, describe_entry, row
    from kivfm_core.registry.registry import list_teachers

    entries = list_teachers()
    teachers = [entry for entry in entries if entry.provider is None]
    providers = [entry for entry in entries if entry.provider is not None]
    if json:
        print_json(
            {
                "teachers": [describe_entry(entry) for entry in teachers],
                "providers": [describe_entry(entry) for entry in providers],
            }
        )
        return
    teachers.sort(key=lambda entry: (entry.status != "ready", entry.bare))
    print_table(COLUMNS, [row(entry) for entry in teachers])
    if providers:
        print()
        rows = [
            (f"{e.provider.prefix}NAME", e.provider.summary, f"{e.distribution} {e.version}")
            for e in providers
            if e.provider and e.status == "ready"
        ]
        print_table(("by name", "what", "distribution"), rows)
    problems = [entry for entry in entries if entry.cause or entry.heavy]
    if problems:
        print()
    for entry in problems:
        slow = f"imports {entry.heavy} at discovery ({entry.milliseconds:.0f} ms)"
        print(f"{entry.name} ({entry.distribution}): {entry.cause or slow}")
        if entry.hint:
            print(f"  {entry.hint}")
