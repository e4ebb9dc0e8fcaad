"""Learn an object from a few annotated slices, and propose the open ones with what was learned. Imports engine, propagation."""

from .annotated_slice import AnnotatedSlice
from .from_review import slices_of
from .learning import learn, learned
from .options import LearningOptions, LearningOutcome
from .propose import propose_slices

__all__ = ["AnnotatedSlice", "LearningOptions", "LearningOutcome", "learn", "learned", "propose_slices", "slices_of"]
