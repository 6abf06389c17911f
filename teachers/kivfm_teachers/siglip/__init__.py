"""SigLIP 2: images and words in one space, in many languages."""
