"""A montage of slices with the outlines of masks. Imports geometry, intensity, errors and (inside functions) Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..atomic_files import replaced_atomically
from ..errors import OutputError
from ..geometry import Box2D, Extent, SliceStack, Volume
from ..intensity import IntensityMapping
from ..optional_imports import import_for

_TILE, _CAPTION, _GAP = 240, 18, 4
_MASK_COLOR, _TRUTH_COLOR, _BOX_COLOR, _TEXT_COLOR = (255, 64, 64), (64, 220, 96), (255, 210, 64), (235, 235, 235)
# Side of the picture in sides of the object, so that its surroundings can be judged.
_VIEW_FACTOR = 1.6


def write_montage(
    path: str | Path,
    volume: Volume,
    stack: SliceStack,
    mapping: IntensityMapping,
    mask_kji: np.ndarray,
    extent: Extent,
    *,
    boxes: Mapping[int, Box2D] | None = None,
    truth_kji: np.ndarray | None = None,
    captions: Mapping[int, str] | None = None,
    tiles: int = 12,
) -> None:
    """Write a PNG of up to `tiles` slices of the extent, cut around the object and shown with square pixels.

    Args:
        path: ends in ``.png``.
        mask_kji: (k, j, i) bool; red outlines.
        extent: positions of the first and last slice to show; the slices with a box are always among those shown.
        boxes: prompt boxes by position; yellow.
        truth_kji: (k, j, i) bool; green outlines.
        captions: a line of text by position.

    Raises:
        OutputError: if the file cannot be written.
    """
    image_module = import_for("Writing a preview", "PIL.Image", "pip install Pillow")
    draw_module = import_for("Writing a preview", "PIL.ImageDraw", "pip install Pillow")
    path = Path(path)
    require_png_name(path)
    boxes, captions = dict(boxes or {}), dict(captions or {})
    shown = _chosen_positions(extent, boxes, tiles)
    masks = stack.view(mask_kji)
    truths = None if truth_kji is None else stack.view(truth_kji)
    around = [*(masks[p] for p in extent.indices), *([] if truths is None else [truths[p] for p in extent.indices])]
    view = view_around(around, stack, list(boxes.values()))
    columns = min(len(shown), max(3, int(np.ceil(np.sqrt(len(shown) * 4 / 3)))))
    rows = -(-len(shown) // columns)
    legend = _CAPTION if truths is not None else 0
    sheet_size = columns * (_TILE + _GAP) + _GAP, rows * (_TILE + _CAPTION + _GAP) + _GAP + legend
    sheet = image_module.new("RGB", sheet_size, (24, 24, 28))
    draw = draw_module.Draw(sheet)
    size_rc = _size_rc(view, stack, _TILE)
    for number, position in enumerate(shown):
        left = _GAP + (number % columns) * (_TILE + _GAP)
        top = _GAP + (number // columns) * (_TILE + _CAPTION + _GAP)
        gray = mapping.to_uint8(stack.view(volume.array_kji)[position])
        tile = outlined_tile(gray, masks[position], None if truths is None else truths[position], view, stack)
        sheet.paste(image_module.fromarray(tile), (left, top + _CAPTION))
        if position in boxes:
            draw.rectangle(_box_pixels(boxes[position], view, size_rc, left, top + _CAPTION), outline=_BOX_COLOR)
        draw.text((left + 2, top + 3), captions.get(position, f"slice {stack.index_of(position)}"), fill=_TEXT_COLOR)
    if truths is not None:
        bottom = sheet.height - _CAPTION
        draw.text((_GAP + 2, bottom), "red: proposed mask", fill=_MASK_COLOR)
        draw.text((_GAP + 142, bottom), "green: drawn by experts", fill=_TRUTH_COLOR)
        draw.text((_GAP + 312, bottom), "yellow: the one box", fill=_BOX_COLOR)
    with replaced_atomically(path) as partial:
        sheet.save(partial, format="PNG", optimize=True)


def outlined_tile(
    gray: np.ndarray, mask: np.ndarray, truth: np.ndarray | None, view: Box2D, stack: SliceStack, side: int = _TILE
) -> np.ndarray:
    """One slice, cut out and shown with square pixels: red outline of the mask, green one of the truth below it.

    Args:
        gray: (rows, cols) uint8 slice of the stack.
        mask: (rows, cols) bool.
        truth: (rows, cols) bool, or None.
        view: what is cut out, see `view_around`.
        side: pixels of the longer side of the picture.

    Returns:
        (height, width, 3) uint8.

    Raises:
        MissingPackageError: if Pillow is not installed.
    """
    image_module = import_for("Writing a preview", "PIL.Image", "pip install Pillow")
    size_rc = _size_rc(view, stack, side)
    cut = image_module.fromarray(np.ascontiguousarray(gray[view.slices_rc]))
    tile = np.array(cut.resize(size_rc[::-1], image_module.Resampling.BICUBIC).convert("RGB"))
    if truth is not None:
        tile[_outline(truth[view.slices_rc], size_rc)] = _TRUTH_COLOR
    tile[_outline(mask[view.slices_rc], size_rc)] = _MASK_COLOR
    return tile


def require_png_name(path: Path) -> None:
    """Raise OutputError unless `path` is a .png in a folder that exists."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"Cannot write '{path.name}': the preview is a picture, its name must end in .png.")
    if not path.parent.is_dir():
        raise OutputError(f"Cannot write '{path}': the folder '{path.parent}' does not exist. Create it first.")


def _chosen_positions(extent: Extent, boxes: Mapping[int, Box2D], tiles: int) -> list[int]:
    spread = np.unique(np.rint(np.linspace(extent.first, extent.last, min(tiles, len(extent)))).astype(int)).tolist()
    for position in boxes:
        without_box = [other for other in spread if other not in boxes]
        if position not in spread:
            if without_box:  # take the place of the nearest, so that the count stays
                spread.remove(min(without_box, key=lambda other: abs(other - position)))
            spread.append(position)
    return sorted(spread)


def view_around(frames: Sequence[np.ndarray], stack: SliceStack, boxes: Sequence[Box2D] = ()) -> Box2D:
    """The part of a slice that shows all of these masks (rows, cols) and boxes with their surroundings; the whole slice without any."""
    found = [Box2D.around(frame) for frame in frames if frame.any()] + list(boxes)
    if not found:
        return Box2D(0, stack.frame_shape_rc[0], 0, stack.frame_shape_rc[1])
    whole = found[0]
    for box in found[1:]:
        whole = whole.union(box)
    spacing = np.array(stack.frame_spacing_rc_mm)
    side_mm = float((np.array(whole.shape_rc) * spacing).max()) * _VIEW_FACTOR
    counts = np.ceil(side_mm / spacing).astype(int)
    row = (whole.row_start + whole.row_stop - int(counts[0])) // 2
    col = (whole.col_start + whole.col_stop - int(counts[1])) // 2
    return Box2D(row, row + int(counts[0]), col, col + int(counts[1])).clipped(stack.frame_shape_rc)


def _size_rc(view: Box2D, stack: SliceStack, side: int) -> tuple[int, int]:
    """Pixels of the picture of a view, square in mm, `side` pixels along the longer side."""
    height_mm, width_mm = (count * mm for count, mm in zip(view.shape_rc, stack.frame_spacing_rc_mm, strict=True))
    scale = side / max(height_mm, width_mm)
    return max(1, round(height_mm * scale)), max(1, round(width_mm * scale))


def _nearest(count: int, size: int) -> np.ndarray:
    return np.minimum((np.arange(size) + 0.5) * count / size, count - 1).astype(int)


def _outline(mask: np.ndarray, size_rc: tuple[int, int]) -> np.ndarray:
    """(size) bool: the inner edge of the mask, two pixels wide, after enlarging it voxel by voxel."""
    large = np.pad(mask[np.ix_(_nearest(mask.shape[0], size_rc[0]), _nearest(mask.shape[1], size_rc[1]))], 2)
    core = large.copy()
    for _ in range(2):
        core = core & np.roll(core, 1, 0) & np.roll(core, -1, 0) & np.roll(core, 1, 1) & np.roll(core, -1, 1)
    return (large & ~core)[2:-2, 2:-2]


def _box_pixels(box: Box2D, view: Box2D, size_rc: tuple[int, int], left: int, top: int) -> tuple[float, float, float, float]:
    per_row, per_col = size_rc[0] / view.shape_rc[0], size_rc[1] / view.shape_rc[1]
    first = left + (box.col_start - view.col_start) * per_col, top + (box.row_start - view.row_start) * per_row
    last = left + (box.col_stop - view.col_start) * per_col - 1, top + (box.row_stop - view.row_start) * per_row - 1
    # A box smaller than a pixel of the picture is shown as one.
    return (*first, max(first[0], last[0]), max(first[1], last[1]))
