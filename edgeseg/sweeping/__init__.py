"""Sweeps: many trainings of one data set, each recipe's files of them, and one report, on Ray Tune."""
