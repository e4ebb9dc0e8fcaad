"""The library's front door: annotate objects on a volume, in the volume's own voxel indices. Imports all rooms but cli, metrics, training.

Everything behind it works on the upright stack of `SliceStack`; the conversion to and from voxel indices happens here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from .engine import Adapter, EmbeddingStore, SegmentationEngine
from .errors import InputError, PromptError
from .geometry import Box2D, Extent, SliceStack, Volume
from .intensity import IntensityMapping, choose_mapping
from .intensity.mapping import require_window
from .progress import CancelToken, Progress, ProgressCallback
from .prompts import Point, SlicePrompt
from .prompts.mask_runs import mask_to_runs
from .propagation import RegionPolicy, SliceEncoder, SliceResult, propagate, propagate_as_stock
from .propagation.propagate import predict_slice
from .review import ReviewSession, SliceStatus
from .review.doubt import Doubt
from .review.doubts import session_doubts

CORRECTIONS = ("carried", "stock")


class Annotator:
    """One volume, one model, any number of objects.

    Args:
        volume: the image; never changed.
        engine: a loaded model, see `load_engine`.
        axis: index axis (``i``, ``j``, ``k``) or plane (``axial``, ``coronal``, ``sagittal``) to slice along.
        window: intensity window, see `choose_mapping`; ``auto`` is settled by the first object and then kept.
        roi: ``auto``, ``full`` or a margin in mm, see `RegionPolicy`.
        store: where encoded slices are kept; by default a new one of 2 GiB.
        corrections: ``carried`` (see `propagation`), or ``stock``, as stock SAM 2 is driven by study A, to compare with.

    Example:
        >>> from SAM2AnnotateLib.engine import ScriptedEngine
        >>> from SAM2AnnotateLib.geometry import VolumeGrid
        >>> voxels = np.zeros((9, 32, 32)); voxels[2:7, 10:20, 8:18] = 100
        >>> annotator = Annotator(Volume(VolumeGrid(voxels.shape, np.eye(4)), voxels), ScriptedEngine(), window="0,100")
        >>> ball = annotator.new_object(slice_index=4, box=((8, 10), (18, 20)), extent=(2, 6))
        >>> for result in ball.propagate(): pass
        >>> int(ball.mask_kji().sum())
        500
    """

    def __init__(
        self,
        volume: Volume,
        engine: SegmentationEngine,
        axis: str = "k",
        window: str = "auto",
        roi: str = "auto",
        store: EmbeddingStore | None = None,
        corrections: str = "carried",
    ):
        self.volume, self.engine, self.corrections = volume, engine, corrections
        require_window(window)
        if corrections not in CORRECTIONS:
            raise InputError(f"Unknown way with corrections '{corrections}': expected one of {', '.join(CORRECTIONS)}.")
        self.stack = SliceStack.along(volume.grid, axis)
        self.policy = RegionPolicy.parse(roi)
        self._window, self._store = window, store
        self._encoder: SliceEncoder | None = None

    @property
    def mapping(self) -> IntensityMapping | None:
        """The intensity mapping; None before the first object."""
        return None if self._encoder is None else self._encoder.mapping

    @property
    def store(self) -> EmbeddingStore | None:
        """The encoded slices; None before the first object."""
        return None if self._encoder is None else self._encoder.store

    def new_object(
        self,
        slice_index: int,
        box: tuple[Sequence[int], Sequence[int]] | None = None,
        points: Sequence[tuple[int, int, bool]] = (),
        mask: np.ndarray | None = None,
        extent: tuple[int, int] | None = None,
    ) -> AnnotatedObject:
        """Mark an object on one slice.

        Args:
            slice_index: voxel index of the slice along the annotator's axis.
            box: two corners in voxel indices, in the order of the two other index axes (i before j before k); half-open, so the second
                corner lies one voxel past the object.
            points: (index, index, positive) clicks, same order.
            mask: 2-D bool of the slice as `volume.array_kji` has it (the two other array axes, in the order k, j, i).
            extent: voxel indices of the object's first and last slice, both included; by default the prompted slice alone.

        Raises:
            PromptError: if any of it does not fit the volume or each other.
        """
        position = self.stack.position_of(slice_index)
        asked = Extent(*(extent if extent is not None else (slice_index, slice_index)))
        marked = self.stack.extent_of(asked)
        if position not in marked:
            raise PromptError(f"The extent {asked.first}..{asked.last} does not hold the prompted slice {slice_index}.")
        return AnnotatedObject(self, position, self.prompt_from(box, points, mask), marked)

    def prompt_from(
        self, box: tuple[Sequence[int], Sequence[int]] | None, points: Sequence[tuple[int, int, bool]], mask: np.ndarray | None
    ) -> SlicePrompt:
        """A prompt in rows and columns from one in voxel indices, see `new_object`."""
        return SlicePrompt(
            box=None if box is None else self.stack.box_of(*box),
            points=tuple(Point(*self.stack.point_of((a, b)), bool(positive)) for a, b, positive in points),
            mask=None if mask is None else self.stack.frame_from_slice(mask),
        )

    def encoder_for(self, position: int, box: Box2D | None) -> SliceEncoder:
        """The encoder that all objects share; made for the first object, whose box settles an automatic window."""
        if self._encoder is None:
            frame = self.stack.frame(self.volume.array_kji, position)
            values = None if box is None else frame[box.clipped(self.stack.frame_shape_rc).slices_rc]
            mapping = as_learned(choose_mapping(self.volume, self._window, values), self._window, self.engine.adapter)
            self._encoder = SliceEncoder(self.engine, self.volume, self.stack, mapping, self._store)
        return self._encoder


def as_learned(mapping: IntensityMapping, window: str, adapter: Adapter | None) -> IntensityMapping:
    """The CT window that an adapter learned with, where nobody asked for one; else `mapping`, as MR has a scale for each volume."""
    if adapter is None or str(window).strip().lower() != "auto" or mapping.name == "mr" or adapter.card.window_name in ("", "mr"):
        return mapping
    lower, upper = adapter.card.window
    return IntensityMapping(lower, upper, adapter.card.window_name, f"the window that '{adapter.name}' was learned with")


class AnnotatedObject:
    """One object: preview, propagate, accept, correct. Made by `Annotator.new_object`.

    Slices are named by their voxel index; results keep the stack's positions (see `slice_index`).
    """

    def __init__(self, annotator: Annotator, position: int, prompt: SlicePrompt, extent: Extent):
        self.annotator, self.prompted_position = annotator, position
        self.review = ReviewSession({position: prompt}, extent, annotator.stack.frame_shape_rc)
        self.encoder = annotator.encoder_for(position, prompt.bounding_box())

    @property
    def prompt(self) -> SlicePrompt:
        """The prompt on the slice that the object was marked on, as it is now."""
        return self.review.prompts[self.prompted_position]

    def slice_index(self, result: SliceResult) -> int:
        """The voxel index of a result's slice."""
        return self.annotator.stack.index_of(result.position)

    def preview(self) -> SliceResult:
        """The prompted slice's mask from its prompt alone; fast once the slice is encoded."""
        return predict_slice(self.encoder, self.prompted_position, self.prompt, self.annotator.policy)

    def propagate(self, cancel: CancelToken | None = None, progress: ProgressCallback | None = None) -> Iterator[SliceResult]:
        """Compute all slices of the extent that are not locked, also those that a stopped correction left stale.

        What is up to date is given again as it is, at no cost. What is computed stays, also if it is stopped halfway. A correction made
        meanwhile ends it: its results would be out of date.
        """
        yield from self._compute(None, cancel, progress)

    def prefetch(self) -> Iterator[Progress]:
        """Encode the slices of the extent from the prompted one outward, while there is nothing better to do; stop by not going on."""
        yield from self.encoder.prefetch(self.prompted_position, self.review.extent, self.preview().crop)

    def accept(self, slice_index: int) -> None:
        """Lock a slice as it is."""
        self.review.accept(self.annotator.stack.position_of(slice_index))

    def unlock(self, slice_index: int) -> None:
        """Make a locked slice a proposal again."""
        self.review.unlock(self.annotator.stack.position_of(slice_index))

    def set_extent(self, first: int, last: int) -> None:
        """Move the object's ends; locked slices must stay inside. Call `propagate` to compute slices that are new."""
        self.review.set_extent(self.annotator.stack.extent_of(Extent(first, last)))

    def add_prompt(
        self,
        slice_index: int,
        box: tuple[Sequence[int], Sequence[int]] | None = None,
        points: Sequence[tuple[int, int, bool]] = (),
        mask: np.ndarray | None = None,
    ) -> None:
        """Prompt another slice of the extent, or one anew; arguments as `Annotator.new_object`. Call `propagate` to use it."""
        position = self.annotator.stack.position_of(slice_index)
        self.review.set_prompt(position, self.annotator.prompt_from(box, points, mask))

    def correct(
        self, slice_index: int, mask: np.ndarray, cancel: CancelToken | None = None, progress: ProgressCallback | None = None
    ) -> Iterator[SliceResult]:
        """Lock a slice with a person's mask, and recompute up to the next prompted or locked slice on both sides.

        The slice is locked at once, before the first result is asked for. `propagate` has nothing to add to what this gives.

        Args:
            slice_index: voxel index of the slice.
            mask: 2-D bool in the volume's array order; all False says that the object is not on this slice.
        """
        position = self.annotator.stack.position_of(slice_index)
        self.review.correct(position, self.annotator.stack.frame_from_slice(np.asarray(mask, dtype=bool)))
        return self._compute(position, cancel, progress)

    def status(self, slice_index: int) -> SliceStatus:
        """What is known about a slice."""
        return self.review.status(self.annotator.stack.position_of(slice_index))

    def doubts(self) -> dict[int, Doubt]:
        """The doubt about each slice that is computed and not locked, with the DSC expected of it; by voxel index, most doubtful first."""
        found = session_doubts(self.review, self.annotator.stack)
        ordered = sorted(found.items(), key=lambda one: -one[1].value)
        return {self.annotator.stack.index_of(position): doubt for position, doubt in ordered}

    def slice_mask(self, slice_index: int) -> np.ndarray | None:
        """2-D bool mask of one slice in the volume's array order; None before anything is known."""
        mask = self.review.mask(self.annotator.stack.position_of(slice_index))
        return None if mask is None else self.annotator.stack.slice_from_frame(mask)

    def mask_kji(self) -> np.ndarray:
        """(k, j, i) bool mask on the volume's grid; False outside the extent and where nothing is computed yet."""
        whole = np.zeros(self.annotator.volume.grid.shape_kji, dtype=bool)
        frames = self.annotator.stack.view(whole)
        for position in self.review.extent.indices:
            mask = self.review.mask(position)
            if mask is not None:
                frames[position] = mask
        return whole

    def report(self) -> dict:
        """What was done, as plain JSON: prompts and corrections in voxel indices, mapping, model, each slice's scores and status.

        Masks stand as runs of the slice in the volume's array order, see `prompts.mask_runs`.
        """
        stack = self.annotator.stack
        prompts = [self._prompt_in_indices(position, prompt) for position, prompt in sorted(self.review.prompts.items())]
        extent = sorted(stack.index_of(position) for position in (self.review.extent.first, self.review.extent.last))
        slices = []
        results = self.review.results
        for position in sorted(self.review.extent.indices, key=stack.index_of):
            row: dict = {"slice": stack.index_of(position), "status": self.review.status(position).value}
            mask = self.review.mask(position)
            row["pixels"] = 0 if mask is None else int(mask.sum())
            if mask is not None and self.review.status(position) is SliceStatus.CORRECTED:
                row["corrected_mask"] = mask_to_runs(self.annotator.stack.slice_from_frame(mask))
            if position in results:
                result = results[position]
                row |= {
                    "predicted_iou": round(result.predicted_iou, 4),
                    "object_score": round(result.object_score, 4),
                    "seconds": round(result.seconds, 4),
                    "prompted": result.prompted,
                }
            slices.append(row)
        return {
            "axis": stack.index_axis,
            "plane": stack.plane,
            "prompts": prompts,
            "extent": extent,
            "mapping": self.encoder.mapping.to_json(),
            "region_of_interest": asdict(self.annotator.policy),
            "engine": self.annotator.engine.describe(),
            "slices": slices,
        }

    def _prompt_in_indices(self, position: int, prompt: SlicePrompt) -> dict:
        stack = self.annotator.stack
        stored: dict = {"slice": stack.index_of(position), "axes": list(stack.in_plane_axes)}
        if prompt.box is not None:
            start, stop = stack.box_to_indices(prompt.box)
            stored["box"] = [*start, *stop]
        if prompt.points:
            voxels = [Box2D(p.row, p.row + 1, p.col, p.col + 1) for p in prompt.points]
            signs = ["+" if p.positive else "-" for p in prompt.points]
            stored["points"] = [[*stack.box_to_indices(voxel)[0], sign] for voxel, sign in zip(voxels, signs, strict=True)]
        if prompt.mask is not None:
            stored["mask"] = mask_to_runs(self.annotator.stack.slice_from_frame(prompt.mask))
        return stored

    def _compute(self, changed: int | None, cancel: CancelToken | None, progress: ProgressCallback | None) -> Iterator[SliceResult]:
        work, revision, policy = self.review.due_work(changed), self.review.revision, self.annotator.policy
        if self.annotator.corrections == "stock":
            crops = {position: result.crop for position, result in self.review.results.items()}
            results = propagate_as_stock(
                self.encoder, work.prompts, work.extent, policy, locked=work.locked, changed=changed, crops=crops, cancel=cancel
            )
        else:
            results = propagate(
                self.encoder,
                work.prompts,
                work.extent,
                policy,
                locked=work.locked,
                corrected=work.corrected,
                changed=changed,
                due=work.due,
                proposals=work.proposals,
                cancel=cancel,
                progress=progress,
            )
            if changed is None:
                known = self.review.results
                for position in sorted(known.keys() - work.due - work.locked):
                    if position not in self.review.locked:
                        yield known[position]
                    if self.review.revision != revision:
                        return
        for result in results:
            if self.review.add_result(result):  # a slice may have been accepted meanwhile
                yield result
            if self.review.revision != revision:
                return
