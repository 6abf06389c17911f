"""Hugging Face transformers' vision models as kivfm teachers."""
