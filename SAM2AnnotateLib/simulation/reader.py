"""SimulatedReader: looks at masks of one object as the person of study A does. Imports simulation's rules, review and numpy.

What a mask scores, and what a person would make of it, does not depend on thresholds: both are worked out once for each mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..review.expected_dsc import Expectation
from .acceptance import Acceptance, SliceScore
from .correction import HandCorrection, correct_by_hand
from .effort import EffortCount, GestureSeconds
from .objects import StackedTruth
from .packed_mask import PackedMask


@dataclass(frozen=True)
class ReaderRules:
    """What all simulated readers of a study share.

    Args:
        tolerance_mm: of the NSD.
        correction_mm: errors that nowhere lie farther than this from the truth's boundary are left as they are.
        costs: seconds for each gesture.
        salient_pixels: a slice is salient if the truth has more pixels there (study D).
    """

    tolerance_mm: float = 1.0
    correction_mm: float = 1.0
    costs: GestureSeconds = field(default_factory=GestureSeconds)
    salient_pixels: int = 256


@dataclass(frozen=True)
class ReviewedSlice:
    """A slice as the reader saw it, and what became of it.

    Args:
        slice_index: voxel index along the axis.
        score: of the mask that was looked at.
        corrected: whether it was corrected or drawn; else it was accepted.
        pixels: that the hand changed.
        truth_pixels: of the object on this slice.
        expected: DSC that was expected of the mask when it was looked at; None where none was.
        seen: whether it was looked at; else it was accepted together with others.
    """

    slice_index: int
    score: SliceScore
    corrected: bool
    pixels: int
    truth_pixels: int
    expected: Expectation | None = None
    seen: bool = True


class MaskMemory:
    """Scores and hand corrections of the masks of one object, each worked out once.

    Args:
        truth: the object.
        spacing_rc_mm: row and column spacing.
        rules: tolerances.
    """

    def __init__(self, truth: StackedTruth, spacing_rc_mm: tuple[float, float], rules: ReaderRules):
        self.truth, self.spacing_rc_mm, self.rules = truth, spacing_rc_mm, rules
        self._scores: dict[tuple[int, bytes], SliceScore] = {}
        self._changed: dict[tuple[int, bytes], PackedMask] = {}

    def score(self, position: int, mask: np.ndarray) -> SliceScore:
        """The score of a mask on a slice."""
        key = (position, PackedMask.of(mask).digest)
        if key not in self._scores:
            self._scores[key] = SliceScore.of(mask, self.truth.frame(position), self.spacing_rc_mm, self.rules.tolerance_mm)
        return self._scores[key]

    def correction(self, position: int, mask: np.ndarray) -> HandCorrection:
        """What a person makes of a mask on a slice."""
        key = (position, PackedMask.of(mask).digest)
        if key not in self._changed:
            correction = correct_by_hand(mask, self.truth.frame(position), self.spacing_rc_mm, self.rules.correction_mm)
            self._changed[key] = PackedMask.of(correction.changed)
        changed = self._changed[key].mask()
        return HandCorrection(mask ^ changed, changed)


class SimulatedReader:
    """Accepts or corrects, and keeps the account.

    Args:
        memory: of the object.
        acceptance: the thresholds.
        index_of: voxel index of a position, as `SliceStack.index_of`.
    """

    def __init__(self, memory: MaskMemory, acceptance: Acceptance, index_of: Callable[[int], int]):
        self._memory, self._acceptance, self._index_of = memory, acceptance, index_of
        self.effort = EffortCount(memory.rules.costs)
        self.reviewed: dict[int, ReviewedSlice] = {}

    def look(self, position: int, mask: np.ndarray, expected: Expectation | None = None) -> np.ndarray | None:
        """Look at a mask once: None if it is accepted, else the person's own (rows, cols) mask."""
        score = self._memory.score(position, mask)
        self.effort.look()
        if self._acceptance.accepts(score):
            self.effort.accept()
            self._note(position, score, False, 0, expected)
            return None
        correction = self._memory.correction(position, mask)
        self.effort.correct(mask, correction.mask, self._memory.spacing_rc_mm)
        self._note(position, score, True, int(np.count_nonzero(correction.changed)), expected)
        return correction.mask

    def accept_together(self, masks: Mapping[int, np.ndarray], expected: Mapping[int, Expectation]) -> None:
        """Accept masks by position unseen, with one key."""
        if masks:
            self.effort.accept()
        for position, mask in masks.items():
            self._note(position, self._memory.score(position, mask), False, 0, expected[position], seen=False)

    def draw(self, position: int) -> np.ndarray:
        """Draw a slice by hand, without a mask to begin with: the truth."""
        truth = self._memory.truth.frame(position)
        self.effort.look()
        if truth.any():
            self.effort.outline(truth, self._memory.spacing_rc_mm)
        self.was_drawn(position)
        return truth

    def was_drawn(self, position: int) -> None:
        """Note that a slice is the person's own work from its first pixel; its score is that of no mask at all."""
        self._note(position, SliceScore(0.0, 0.0), True, int(np.count_nonzero(self._memory.truth.frame(position))))

    def _note(
        self, position: int, score: SliceScore, corrected: bool, pixels: int, expected: Expectation | None = None, seen: bool = True
    ) -> None:
        truth_pixels = int(np.count_nonzero(self._memory.truth.frame(position)))
        self.reviewed[position] = ReviewedSlice(self._index_of(position), score, corrected, pixels, truth_pixels, expected, seen)
