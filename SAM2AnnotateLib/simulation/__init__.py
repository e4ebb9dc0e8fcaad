"""A person's gestures, derived from ground truth: for evaluation. Imports geometry, errors and numpy."""

from .gestures import Gestures, gestures_from_truth

__all__ = ["Gestures", "gestures_from_truth"]
