"""`kivfm teachers`: what is installed, what it offers, what it costs, under which license."""

from __future__ import annotations

from kivfm_cli.commands.teachers import check, fetch, list, new, show
from kivfm_cli.lazy import make_app

app = make_app(no_args_is_help=True, help="List, inspect, check, create and download teachers.")
app.command("list")(list.list_command)
app.command("show")(show.show)
app.command("check")(check.check)
app.command("new")(new.new)
app.command("fetch")(fetch.fetch)
