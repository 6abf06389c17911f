"""Kinds of heads: decoders that are trained on labels, one file each, and the table of them."""
