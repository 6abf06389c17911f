"""The losses: distances between the student's and the teachers' levels, and the teachers' shares.

`distillation.training.module` adds them up; `recipes` selects them by name.
"""
