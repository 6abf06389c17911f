"""What a run leaves on disk to resume from: checkpoints, which settings may change, a full disk.

A run that is killed in the middle of a checkpoint resumes from the one before. Signals are handled
in `distillation.processes.interrupt`.
"""
