"""The command line: one module for each command; each parses, calls the library and prints.

A command module has a function `command` with Typer parameters, and imports nothing heavy at its top, so that
`edgeseg --help` answers at once. To add a command, add its file and its line in `commands.py`.
"""

from __future__ import annotations

from edgeseg.cli.app import main

__all__ = ["main"]
