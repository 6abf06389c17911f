"""Protocols of papers on frozen features: k-NN, linear probes, retrieval, CKA."""
