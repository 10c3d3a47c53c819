"""The networks: blocks, backbones and one module for each family."""
