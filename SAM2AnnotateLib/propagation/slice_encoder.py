"""SliceEncoder: a volume as the model sees it, every slice encoded once a crop. Imports engine, intensity and geometry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..engine import Embedding, EmbeddingStore, SegmentationEngine
from ..errors import InputError, PromptError
from ..geometry import Box2D, Extent, SliceStack, Volume
from ..intensity import IntensityMapping
from ..progress import Progress
from .region_of_interest import cut


class SliceEncoder:
    """Encodes slices on demand and keeps them in a store that all objects on the volume share.

    Only what is asked for is touched: voxels of other slices are neither mapped nor copied.

    Args:
        engine: the model.
        volume: the image; its voxels are only read.
        stack: how it is sliced.
        mapping: one intensity mapping for all slices.
        store: where embeddings are kept; by default a new one with the default limit.
    """

    def __init__(
        self, engine: SegmentationEngine, volume: Volume, stack: SliceStack, mapping: IntensityMapping, store: EmbeddingStore | None = None
    ):
        if sorted(stack.shape_src) != sorted(volume.grid.shape_kji):
            raise InputError(f"The stack {stack.shape_src} is not one of the volume {volume.grid}.")
        self.engine, self.stack, self.mapping = engine, stack, mapping
        self.store = EmbeddingStore() if store is None else store
        self.volume = volume
        self._frames = stack.view(volume.array_kji)
        self._key = (engine.fingerprint, volume.token, stack, mapping.lower, mapping.upper)

    def with_engine(self, engine: SegmentationEngine) -> SliceEncoder:
        """The same volume and store for another engine, such as this one with an adapter: embeddings are shared if fingerprints are."""
        return SliceEncoder(engine, self.volume, self.stack, self.mapping, self.store)

    @property
    def slice_count(self) -> int:
        """Number of slices in the stack."""
        return self.stack.shape_src[0]

    def picture(self, position: int, crop: Box2D) -> np.ndarray:
        """The uint8 picture (rows, cols) of a crop of one slice. Raises PromptError if there is no such slice."""
        self._require(position)
        return cut(self.mapping.to_uint8(self._cropped_source(position, crop)), self._crop_in_source(crop))

    def embedding(self, position: int, crop: Box2D) -> Embedding:
        """The embedding of that picture, encoded at most once while the store keeps it. Raises PromptError if there is no such slice."""
        self._require(position)
        key = (self._key, position, crop)
        return self.store.get(key, lambda: self.engine.encode(self.picture(position, crop)))

    def prefetch(self, center: int, extent: Extent, crop: Box2D) -> Iterator[Progress]:
        """Encode the extent's slices from `center` outward while there is time; stop by not going on.

        Yields:
            Progress after each slice.

        Raises:
            PromptError: if the extent reaches beyond the volume.
        """
        self._require(extent.first)
        self._require(extent.last)
        outward = sorted(extent.indices, key=lambda position: (abs(position - center), position))
        for done, position in enumerate(outward, start=1):
            self.embedding(position, crop)
            yield Progress(done, len(outward), "slices encoded")

    def _require(self, position: int) -> None:
        if not 0 <= position < self.slice_count:
            raise PromptError(f"Slice {position} does not exist: the volume has slices 0..{self.slice_count - 1}.")

    def _cropped_source(self, position: int, crop: Box2D) -> np.ndarray:
        return self._frames[position][crop.clipped(self.stack.frame_shape_rc).slices_rc]

    def _crop_in_source(self, crop: Box2D) -> Box2D:
        inside = crop.clipped(self.stack.frame_shape_rc)
        return crop.shifted(-inside.row_start, -inside.col_start)
