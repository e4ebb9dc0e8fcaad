"""Bench: one volume with a model, ready for any number of simulations. Imports annotator, propagation, engine, simulation.replay."""

from __future__ import annotations

from copy import copy

from ..annotator import AnnotatedObject, Annotator
from ..engine import Adapter, EmbeddingStore, SegmentationEngine
from ..geometry import SliceStack, Volume
from ..prompts import SlicePrompt
from ..propagation import SliceEncoder
from ..propagation.propagate import predict_slice
from ..propagation.results import SliceResult
from .embedding_files import EmbeddingFiles
from .objects import StackedTruth
from .replay import ReplayEngine


class Bench:
    """What all simulations on one volume share: embeddings, and all that the model has answered.

    Args:
        volume: the image.
        engine: a loaded model.
        axis: as of `Annotator`.
        window: as of `Annotator`; ``auto`` is settled by the first object.
        files: where embeddings are kept between processes, or None.
    """

    def __init__(self, volume: Volume, engine: SegmentationEngine, axis: str, window: str, files: EmbeddingFiles | None = None):
        self.volume, self._axis, self._window = volume, axis, window
        self.engine = ReplayEngine(engine, files)
        self.stack = SliceStack.along(volume.grid, axis)
        self._store = EmbeddingStore()
        self._annotators: dict[tuple[str, str], Annotator] = {}

    def with_adapter(self, adapter: Adapter | None) -> Bench:
        """The same volume and embeddings, with a model that has learned an object; it knows no answers yet."""
        changed = copy(self)
        changed.engine, changed._annotators = self.engine.with_adapter(adapter), {}
        return changed

    def encoder(self, truth: StackedTruth, roi: str) -> SliceEncoder:
        """The volume as the model sees it; an automatic window is settled by the object if it is the first."""
        return self._annotator(truth, roi).encoder_for(truth.center, truth.tight_box(truth.center))

    def new_object(self, truth: StackedTruth, prompt: SlicePrompt, roi: str, corrections: str = "carried") -> AnnotatedObject:
        """The object as the panel and the console make it, from a prompt on its center slice; with the extent of the truth.

        Args:
            corrections: as of `Annotator`.
        """
        return AnnotatedObject(self._annotator(truth, roi, corrections), truth.center, prompt, truth.extent)

    def predict(self, truth: StackedTruth, position: int, prompt: SlicePrompt, roi: str) -> SliceResult:
        """One slice from its prompt alone, as a preview."""
        annotator = self._annotator(truth, roi)
        return predict_slice(annotator.encoder_for(position, truth.tight_box(truth.center)), position, prompt, annotator.policy)

    def _annotator(self, truth: StackedTruth, roi: str, corrections: str = "carried") -> Annotator:
        if (roi, corrections) not in self._annotators:
            annotator = Annotator(self.volume, self.engine, self._axis, self._window, roi, self._store, corrections)
            annotator.encoder_for(truth.center, truth.tight_box(truth.center))
            self._annotators[roi, corrections] = annotator
        return self._annotators[roi, corrections]
