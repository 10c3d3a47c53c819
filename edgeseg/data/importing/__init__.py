"""Importing what labelling tools export: one file for each format, and what they share."""
