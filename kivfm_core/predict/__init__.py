"""Prediction: one picture, one task, a drawing and a result that can be written as JSON."""

from kivfm_core.predict.predict import predict
from kivfm_core.predict.prediction import Prediction

__all__ = ["Prediction", "predict"]
