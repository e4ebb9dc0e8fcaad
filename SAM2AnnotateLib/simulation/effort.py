"""What an annotation costs a person: gestures counted, and seconds by a stated model. Imports metrics, errors and numpy."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..errors import InputError
from ..metrics.surface_elements import element_sizes, surface_corners


@dataclass(frozen=True)
class GestureSeconds:
    """Seconds for each gesture of a person. Only the box is measured (study C: 3.3 s for a box on a slice); the others are stated
    assumptions, to be replaced by a group's own timings.

    Args:
        find: to find an object's center slice and its two ends.
        box: to draw a box.
        point: to click a point.
        look: to look at a slice's mask and decide.
        accept: to press the key.
        begin_correction: to take up a tool on a slice, and to lock it.
        outline_mm_per_s: mm of outline that a hand draws in a second.
    """

    find: float = 10.0
    box: float = 3.3
    point: float = 1.5
    look: float = 1.0
    accept: float = 0.3
    begin_correction: float = 3.0
    outline_mm_per_s: float = 10.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not np.isfinite(value) or value < 0 or (one.name == "outline_mm_per_s" and value == 0):
                raise InputError(f"Seconds of gestures: '{one.name}' must be a number of 0 or more (the speed above 0), got {value!r}.")


@dataclass(frozen=True)
class Effort:
    """What a person did for one object; efforts add up.

    Args:
        boxes: boxes drawn.
        points: points clicked.
        outlines: slices drawn from nothing.
        corrections: slices corrected.
        corrected_pixels: pixels that corrections and outlines changed.
        outline_mm: length of the outlines that the hand drew in corrections and outlines.
        slices_viewed: masks looked at.
        accepted: masks taken as they are.
        seconds: all of it by `GestureSeconds`.
    """

    boxes: int = 0
    points: int = 0
    outlines: int = 0
    corrections: int = 0
    corrected_pixels: int = 0
    outline_mm: float = 0.0
    slices_viewed: int = 0
    accepted: int = 0
    seconds: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        return Effort(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


class EffortCount:
    """Counts gestures as they are made.

    Args:
        costs: seconds for each.
    """

    def __init__(self, costs: GestureSeconds):
        self._costs = costs
        self.total = Effort()

    def find_object(self) -> None:
        """Center slice and both ends."""
        self.total += Effort(seconds=self._costs.find)

    def box(self) -> None:
        """A box drawn."""
        self.total += Effort(boxes=1, seconds=self._costs.box)

    def point(self) -> None:
        """A point clicked."""
        self.total += Effort(points=1, seconds=self._costs.point)

    def look(self) -> None:
        """A mask looked at."""
        self.total += Effort(slices_viewed=1, seconds=self._costs.look)

    def accept(self) -> None:
        """A mask taken as it is."""
        self.total += Effort(accepted=1, seconds=self._costs.accept)

    def correct(self, before: np.ndarray, after: np.ndarray, spacing_rc_mm: tuple[float, float]) -> None:
        """A (rows, cols) bool mask corrected. The hand draws what is new of the outline; what is erased beyond it takes no care."""
        mm, pixels = new_outline_mm(before, after, spacing_rc_mm), int(np.count_nonzero(before ^ after))
        seconds = self._costs.begin_correction + mm / self._costs.outline_mm_per_s
        self.total += Effort(corrections=1, corrected_pixels=pixels, outline_mm=mm, seconds=seconds)

    def outline(self, mask: np.ndarray, spacing_rc_mm: tuple[float, float]) -> None:
        """A slice drawn from nothing."""
        mm, pixels = outline_mm(mask, spacing_rc_mm), int(np.count_nonzero(mask))
        seconds = self._costs.begin_correction + mm / self._costs.outline_mm_per_s
        self.total += Effort(outlines=1, corrected_pixels=pixels, outline_mm=mm, seconds=seconds)


def new_outline_mm(before: np.ndarray, after: np.ndarray, spacing_rc_mm: tuple[float, float]) -> float:
    """Length in mm of the outlines of `after` that are not outlines of `before`: at most what drawing `after` from nothing would take."""
    known = {(*corner, code) for corner, code in zip(*(part.tolist() for part in surface_corners(before)), strict=True)}
    corners, codes = (part.tolist() for part in surface_corners(after))
    sizes = element_sizes(tuple(float(mm) for mm in spacing_rc_mm))
    return float(sum(sizes[code] for corner, code in zip(corners, codes, strict=True) if (*corner, code) not in known))


def outline_mm(mask: np.ndarray, spacing_rc_mm: tuple[float, float]) -> float:
    """Length in mm of the outlines of a (rows, cols) bool mask, holes included, by marching squares; 0 for an empty one."""
    _, codes = surface_corners(mask)
    return float(element_sizes(tuple(float(mm) for mm in spacing_rc_mm))[codes].sum())
