"""A person at work, simulated against ground truth. Imports annotator, review, propagation, engine, metrics, prompts, geometry, errors.

The rules are those of study A (Misera et al.), with the prompts of studies B, D and E; what a simulated person does goes through the same
session, propagation and correction code as what a real one does. Needs scipy.
"""

from .gestures import Gestures, gestures_from_truth

__all__ = ["Gestures", "gestures_from_truth"]
