"""Caches of frozen networks' outputs for stored views, so that each is computed once."""
