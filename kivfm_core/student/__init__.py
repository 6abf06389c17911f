"""The student, its stand-ins, and the folder that it is saved in."""
