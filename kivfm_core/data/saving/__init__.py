"""Saves labels, such as predictions, in formats that kivfm and others read: one file a format."""
