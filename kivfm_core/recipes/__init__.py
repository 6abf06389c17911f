"""Recipes: what a student is trained to match, and how teachers are balanced."""
