"""Aligners: between a teacher's level and the shared latent. One kind a file, named in `table`."""
