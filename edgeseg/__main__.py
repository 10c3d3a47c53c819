"""`python -m edgeseg`, the same as `edgeseg`."""

from edgeseg.cli.app import main

if __name__ == "__main__":
    main()
