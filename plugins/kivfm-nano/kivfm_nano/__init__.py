"""Tiny trained teachers for kivfm that work offline."""
