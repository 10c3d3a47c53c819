"""The Edge TPU: what its compiler takes and why not, memory, compiled packages, running the compiler."""
