"""One function per prediction: what theory says beside what training measures."""

from gan_core.experiments.result import Experiment, Prediction, prediction

__all__ = ["Experiment", "Prediction", "prediction"]
