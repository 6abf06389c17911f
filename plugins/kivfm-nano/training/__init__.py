"""How the tiny teachers were trained: `python -m training` beside this folder does it again."""
