"""Training: batches, the fitting loop, checkpoints, initial weights."""
