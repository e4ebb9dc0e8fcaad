"""Check a stored review whole before any of it is believed, and before memory is taken for it. Imports json_input, errors.

A review comes from a tag of a segmentation's file or from a journal: a damaged one, or one that somebody made up, must be told in one line,
never hang, and never come back with a decision more or less than was made.
"""

from __future__ import annotations

from typing import Any

from ..errors import InputError, PromptError
from ..json_input import Fields, is_number, is_whole

LONGEST_SIDE = 1 << 16  # rows, columns or slices: more than any scanner makes
_LARGEST_FRAME = 1 << 28
# Of all masks together: pixels of frames that are not empty, and pixels inside. A review of 2000 slices of 1024 x 1024 has 2 ** 32 of
# the first; the second are what really takes memory.
_MOST_FRAME_PIXELS, _MOST_MASK_PIXELS = 1 << 33, 1 << 31
_LOCKED = ("accepted", "corrected")
_COMPUTED = ("proposed", "stale")


def require_session(stored: Any) -> None:
    """Raise PromptError unless `stored` is what `ReviewSession.to_json` gives: types, bounds, and statuses that fit the masks."""
    try:
        _Check(Fields(stored, "the stored review is damaged")).all()
    except InputError as exc:
        raise exc if isinstance(exc, PromptError) else PromptError(str(exc)) from exc


class _Check:
    def __init__(self, fields: Fields):
        self._fields = fields
        self._frame_pixels = self._mask_pixels = 0

    def all(self) -> None:
        fields = self._fields
        self._shape = fields.items("frame_shape")
        if len(self._shape) != 2 or not all(is_whole(side, 1, LONGEST_SIDE) for side in self._shape):
            raise self._damaged("a slice should have rows and columns")
        if self._shape[0] * self._shape[1] > _LARGEST_FRAME:
            raise self._damaged(f"a slice should have up to {_LARGEST_FRAME} pixels, not {self._shape[0]} x {self._shape[1]}")
        extent = fields.items("extent")
        if len(extent) != 2 or not all(is_whole(end, 0, LONGEST_SIDE - 1) for end in extent) or extent[0] > extent[1]:
            raise self._damaged("its extent should be two slices")
        self._first, self._last = extent
        for prompt in self._map("prompts").values():
            one = Fields(prompt, f"{fields.what}, a prompt")
            if "mask" in one.values:
                self._mask(one.values["mask"])
        results = self._map("results")
        for kept in (results, self._map("proposals", {})):
            for position, result in kept.items():
                self._result(position, result)
        final = self._map("final")
        for mask in final.values():
            self._mask(mask)
        self._statuses(final, results)
        old = fields.items("old", [])
        if not all(is_whole(position) and position in results for position in old):
            raise self._damaged("an old proposal names a slice without a result")

    def _map(self, name: str, *default: dict) -> dict[int, Any]:
        """A field whose keys are positions of the extent."""
        found = {}
        for key, value in self._fields.object(name, *default).values.items():
            position = int(key) if key.isascii() and key.isdigit() and len(key) <= 6 else -1
            if str(position) != key or not self._first <= position <= self._last:
                raise self._damaged(f"'{name}' speaks of the slice {key[:20]!r}, outside the extent {self._first}..{self._last}")
            found[position] = value
        return found

    def _result(self, position: int, result: Any) -> None:
        one = Fields(result, f"{self._fields.what}, slice {position}")
        for name, value in one.values.items():
            if name not in ("mask", "crop") and not (value is None or isinstance(value, bool) or is_number(value)):
                raise self._damaged(f"slice {position} has no number as '{name[:40]}'")
        if one.whole("position") != position:
            raise self._damaged(f"slice {position} holds the result of another one")
        for name in ("predicted_iou", "object_score", "seconds"):
            one.number(name)
        one.flag("prompted")
        crop = one.items("crop")
        if len(crop) != 4 or not all(is_whole(side, -LONGEST_SIDE, 2 * LONGEST_SIDE) for side in crop):
            raise self._damaged(f"slice {position} has no crop of four whole numbers")
        self._mask(one.values.get("mask"))

    def _mask(self, stored: Any) -> None:
        """A mask must fill the frame to the pixel; found out from its runs, before it is made."""
        one = Fields(stored, f"{self._fields.what}, a mask")
        runs, pixels = one.items("runs"), self._shape[0] * self._shape[1]
        if one.items("shape") != self._shape or not all(map(is_whole, self._shape)):
            raise self._damaged(f"its slices have {self._shape[0]} x {self._shape[1]} pixels, a mask another shape")
        if not all(type(run) is int and 0 <= run <= pixels for run in runs) or sum(runs) != pixels:
            raise self._damaged("the runs of a mask do not fill it")
        inside = sum(runs[1::2])
        self._frame_pixels += pixels if inside else 0
        self._mask_pixels += inside
        if self._frame_pixels > _MOST_FRAME_PIXELS or self._mask_pixels > _MOST_MASK_PIXELS:
            raise self._damaged("its masks would take more memory than any review does")

    def _statuses(self, final: dict[int, Any], results: dict[int, Any]) -> None:
        statuses = self._map("status")
        for position, status in statuses.items():
            if status not in (*_LOCKED, *_COMPUTED, "empty"):
                raise self._damaged(f"slice {position} has the unknown status {str(status)[:40]!r}")
            if (status in _LOCKED) != (position in final) or (status in _COMPUTED and position not in results):
                raise self._damaged(f"slice {position} is {status}, which its masks contradict")
        silent = next((position for position in (*final, *results) if position not in statuses), None)
        if silent is not None:
            raise self._damaged(f"slice {silent} has a mask and no status")

    def _damaged(self, why: str) -> PromptError:
        return PromptError(f"The stored review is damaged: {why}.")


def require_fits(axis: str, frame_shape_rc: tuple[int, int], last: int, shape_kji: tuple[int, int, int]) -> None:
    """Raise PromptError unless slices of a shape, up to the position `last`, are slices of a volume along an index axis."""
    kept = list(shape_kji)
    count = kept.pop("kji".index(axis)) if axis in ("k", "j", "i") else 0
    if sorted(kept) != sorted(frame_shape_rc) or last >= count:
        raise PromptError(
            f"The stored review is damaged: slices of {frame_shape_rc[0]} x {frame_shape_rc[1]} up to number {last} along '{axis[:10]}' "
            f"are none of a volume of {shape_kji[::-1]} voxels."
        )


def require_about(about: Any) -> None:
    """Raise PromptError unless what else is kept of an object is plain JSON of a bearable depth, with finite numbers."""
    if not isinstance(about, dict) or not _is_plain(about, 32):
        raise PromptError("The stored review is damaged: what is kept about it is no object of finite numbers and texts.")


def _is_plain(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_plain(one, depth - 1) for one in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(one, depth - 1) for one in value)
    return value is None or isinstance(value, (bool, str)) or is_number(value)
