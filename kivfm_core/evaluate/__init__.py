"""Evaluation: one code for teachers and stand-ins, against the `Teacher` protocol alone."""

from kivfm_core.evaluate.evaluation import BaseRow, Evaluation, Row, Summary
from kivfm_core.evaluate.run import evaluate, evaluate_teacher

__all__ = ["BaseRow", "Evaluation", "Row", "Summary", "evaluate", "evaluate_teacher"]
