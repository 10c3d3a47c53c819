"""Data sets on disk, the synthetic aerial set, augmentation and calibration sets."""
