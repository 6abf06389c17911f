"""Adapters: what is trained on a frozen base. One kind a file, named in `table`."""
