"""Export: a model as a file that runs without kivfm, checked before it is there."""
