"""The version of edgeseg; packaging reads it here."""

__version__ = "0.1.0"
