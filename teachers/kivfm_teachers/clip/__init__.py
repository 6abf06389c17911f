"""CLIP: pictures and words in one space."""
