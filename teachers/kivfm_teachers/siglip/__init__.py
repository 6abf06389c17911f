"""SigLIP 2: pictures and words in one space, in many languages."""
