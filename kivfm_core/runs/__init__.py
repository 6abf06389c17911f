"""Run folders: opening one, and removing a teacher from its student."""
