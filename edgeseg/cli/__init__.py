"""The command line: one module for each command; each parses, calls the library and prints."""
