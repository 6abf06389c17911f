"""A page on this machine to try a model with: images in, every task beside its teacher out."""
