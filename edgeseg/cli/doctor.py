"""`edgeseg doctor`: is this machine ready?"""

from __future__ import annotations

import typer

from edgeseg.cli.output import JsonOption, emit, table_console


def command(json_to: JsonOption = None) -> None:
    """Check this machine: Python, runtime, delegates, cameras, OpenCV, processor, heat. Says the fix for what is amiss.

    Exits with 1 only if a model cannot be run here at all; what you may not need is listed and not held against it.

    \b
    Examples:
      edgeseg doctor
      edgeseg doctor --json
    """  # noqa: D301
    from edgeseg.measure.doctor import examine

    checks = examine()
    shown = table_console(json_to)
    for check in checks:
        mark = "[green]ok  [/]" if check.ok else ("[red]FAIL[/]" if check.required else "[yellow]--  [/]")
        shown.print(f"{mark} {check.name}: ", end="")
        shown.print(check.found, markup=False, soft_wrap=True)
        if check.fix:
            shown.print(f"       {check.fix}", markup=False, soft_wrap=True)
    keys = ("name", "ok", "found", "fix")
    emit({"checks": [{key: getattr(check, key) for key in keys} for check in checks]}, json_to)
    if not all(check.ok for check in checks if check.required):
        raise typer.Exit(1)
