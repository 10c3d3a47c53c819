"""`python -m edgeseg.cli`: the same as `edgeseg`."""

from edgeseg.cli.app import main

main()
