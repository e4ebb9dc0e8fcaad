"""A simulated annotator whose model learns. Imports simulation, adaptation, auto_prompts, prototypes, and what lies below these.

What a simulated person does goes through the same code as what a real one does; only the person is simulated, see `simulation`.
"""

from .annotated import SeriesCase, taught_slices
from .one_volume import LearningMoment, OpenSlice, VolumeWithLearning, annotate_with_learning
from .series import SeriesVolume, annotate_series

__all__ = [
    "LearningMoment",
    "OpenSlice",
    "SeriesCase",
    "SeriesVolume",
    "VolumeWithLearning",
    "annotate_series",
    "annotate_with_learning",
    "taught_slices",
]
