"""`edgeseg data`: making data sets."""

from __future__ import annotations

import typer

app = typer.Typer(help="Make and look at data sets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass
