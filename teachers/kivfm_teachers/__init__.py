"""The built-in teachers: a folder a family, `plugin.py` light, `model.py` with torch."""
