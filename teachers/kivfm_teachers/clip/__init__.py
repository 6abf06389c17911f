"""CLIP: images and words in one space."""
