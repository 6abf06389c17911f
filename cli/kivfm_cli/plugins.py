"""`kivfm plugins`: the distributions behind the teachers."""

from __future__ import annotations

from kivfm_cli.group import make_app
from kivfm_cli.output import Json, print_json, print_table

app = make_app(no_args_is_help=True, help="Plugins: the distributions behind the teachers.")


@app.callback()
def _group() -> None: ...


@app.command("list")
def list_command(json: Json = False) -> None:
    """List the plugins: what they give, how long they take to load, what is wrong with them."""
    from kivfm_core.registry import list_teachers

    plugins: dict[str, dict] = {}
    for entry in list_teachers():
        plugin = plugins.setdefault(
            entry.distribution,
            {"distribution": entry.distribution, "version": entry.version, "milliseconds": {},
             "names": [], "heavy": None, "problems": []},
        )  # fmt: skip
        # Every entry of one entry point carries that entry point's time.
        plugin["milliseconds"][entry.milliseconds] = None
        plugin["names"].append(entry.name)
        plugin["heavy"] = plugin["heavy"] or entry.heavy or None
        if entry.cause:
            plugin["problems"].append(
                {"name": entry.name, "status": entry.status, "cause": entry.cause,
                 "hint": entry.hint}
            )  # fmt: skip
    for plugin in plugins.values():
        plugin["milliseconds"] = round(sum(plugin["milliseconds"]), 2)
    if json:
        print_json({"plugins": list(plugins.values())})
        return
    rows = [
        (
            p["distribution"],
            p["version"],
            str(len(p["names"])),
            f"{p['milliseconds']:.0f}",
            p["heavy"] or "",
            f"{len(p['problems'])} wrong" if p["problems"] else "ok",
        )
        for p in plugins.values()
    ]
    columns = ("distribution", "version", "names", "ms", "heavy import", "status")
    print_table(columns, rows)
    for plugin in plugins.values():
        for problem in plugin["problems"]:
            print(f"\n{problem['name']} is {problem['status']}: {problem['cause']}")
            print(f"  {problem['hint']}")
