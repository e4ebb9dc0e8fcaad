"""The preview: outlines where the masks' edges are, to the pixel; a valid PNG, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from patients import names_in

from SAM2AnnotateLib.errors import MissingPackageError, OutputError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.pictures.montage import require_png_name, write_montage

image_module = pytest.importorskip("PIL.Image")

RED, GREEN, YELLOW = (255, 64, 64), (64, 220, 96), (255, 210, 64)
TILE, CAPTION, GAP = 240, 18, 4
MAPPING = IntensityMapping(0.0, 100.0, "explicit", "")


def a_scan(slices: int = 3, rows: int = 40, cols: int = 40, spacing_ij_mm=(1.0, 1.0)) -> Volume:
    """Mid-gray all over, in LPS: shown as stored."""
    i, j = spacing_ij_mm
    return Volume(VolumeGrid((slices, rows, cols), np.diag([-i, -j, 5.0, 1])), np.full((slices, rows, cols), 50, dtype=np.int16))


def a_mask(volume: Volume, *parts: tuple) -> np.ndarray:
    mask = np.zeros(volume.grid.shape_kji, dtype=bool)
    for part in parts:
        mask[part] = True
    return mask


def pixels(path: Path) -> np.ndarray:
    with image_module.open(path) as picture:
        picture.load()
        return np.asarray(picture)


def of_color(picture: np.ndarray, color) -> np.ndarray:
    return (picture == color).all(axis=-1)


def tile(picture: np.ndarray, number: int, columns: int, size_rc=(TILE, TILE)) -> np.ndarray:
    left, top = GAP + (number % columns) * (TILE + GAP), GAP + (number // columns) * (TILE + CAPTION + GAP) + CAPTION
    return picture[top : top + size_rc[0], left : left + size_rc[1]]


def ring(size_rc, row_start, row_stop, col_start, col_stop, width) -> np.ndarray:
    """The inner edge of a rectangle."""
    drawn = np.zeros(size_rc, dtype=bool)
    drawn[row_start:row_stop, col_start:col_stop] = True
    drawn[row_start + width : row_stop - width, col_start + width : col_stop - width] = False
    return drawn


@pytest.fixture
def a_picture(tmp_path) -> Path:
    return tmp_path / "preview.png"


def show(path: Path, volume: Volume, mask: np.ndarray, extent: Extent, **options) -> np.ndarray:
    write_montage(path, volume, SliceStack.along(volume.grid, "k"), MAPPING, mask, extent, **options)
    return pixels(path)


# --- outlines


def test_the_red_outline_lies_on_the_inner_edge_of_the_mask(a_picture):
    volume = a_scan()
    # 10 x 10 voxels: the view is 16 x 16 voxels from (2, 5), each of them 15 pixels.
    picture = show(a_picture, volume, a_mask(volume, (1, slice(5, 15), slice(8, 18))), Extent(0, 2))
    assert picture.shape == (2 * GAP + CAPTION + TILE, GAP + 3 * (TILE + GAP), 3)
    assert np.array_equal(of_color(tile(picture, 1, 3), RED), ring((TILE, TILE), 45, 195, 45, 195, 2))
    for empty in (0, 2):
        assert (tile(picture, empty, 3) == 128).all()  # 50 of 0..100, 127.5, rounds to even
    assert of_color(picture, RED).sum() == of_color(tile(picture, 1, 3), RED).sum()


def test_an_outline_follows_a_hole_and_every_part(a_picture):
    volume = a_scan(1)
    mask = a_mask(volume, (0, slice(5, 15), slice(8, 18)))
    mask[0, 9:11, 12:14] = False  # rows 4..6 and columns 4..6 of the mask
    red = of_color(tile(show(a_picture, volume, mask, Extent(0, 0)), 0, 1), RED)
    around_hole = np.zeros((TILE, TILE), dtype=bool)
    around_hole[103:137, 103:137] = True  # the hole is 105..135; two pixels around it
    around_hole[105:135, 105:135] = False
    for out, inner in ((103, 104), (136, 135)):  # by steps to the four neighbors, only one pixel of each corner is within two steps
        for out_col, inner_col in ((103, 104), (136, 135)):
            around_hole[[out, out, inner], [out_col, inner_col, out_col]] = False
    assert np.array_equal(red, ring((TILE, TILE), 45, 195, 45, 195, 2) | around_hole)


def test_uneven_spacing_is_shown_with_square_pixels(a_picture):
    volume = a_scan(1, rows=40, cols=80, spacing_ij_mm=(0.5, 1.0))
    mask = a_mask(volume, (0, slice(15, 25), slice(30, 50)))  # 10 x 20 voxels, 10 x 10 mm
    red = of_color(tile(show(a_picture, volume, mask, Extent(0, 0)), 0, 1), RED)
    assert np.array_equal(red, ring((TILE, TILE), 45, 195, 45, 195, 2))


def test_truth_is_green_the_box_yellow_and_the_mask_above_the_truth(a_picture):
    volume = a_scan(1)
    mask = a_mask(volume, (0, slice(5, 15), slice(8, 18)))
    truth = a_mask(volume, (0, slice(5, 15), slice(8, 16)))
    box = Box2D(6, 14, 9, 17)
    picture = show(a_picture, volume, mask, Extent(0, 0), truth_kji=truth, boxes={0: box})
    seen = tile(picture, 0, 1)
    red, green = ring((TILE, TILE), 45, 195, 45, 195, 2), ring((TILE, TILE), 45, 195, 45, 165, 2)
    assert np.array_equal(of_color(seen, YELLOW), ring((TILE, TILE), 60, 180, 60, 180, 1))
    assert np.array_equal(of_color(seen, RED), red & ~of_color(seen, YELLOW))
    assert np.array_equal(of_color(seen, GREEN), green & ~red & ~of_color(seen, YELLOW))
    assert picture.shape[0] == 2 * GAP + CAPTION + TILE + CAPTION  # the legend


def test_a_flipped_file_shows_the_same_picture(tmp_path):
    volume = a_scan()
    mask = a_mask(volume, (1, slice(5, 15), slice(8, 18)), (2, slice(7, 9), slice(8, 12)))
    stored = Volume(VolumeGrid((3, 40, 40), np.array([[1.0, 0, 0, -39], [0, -1, 0, 0], [0, 0, -5, 10], [0, 0, 0, 1]])), volume.array_kji)
    captions = dict.fromkeys(range(3), "")
    one = show(tmp_path / "one.png", volume, mask, Extent(0, 2), captions=captions)
    other = show(tmp_path / "other.png", stored, mask[::-1, :, ::-1], Extent(0, 2), captions=captions)
    assert np.array_equal(one, other)


def test_grays_are_those_of_the_mapping(a_picture):
    values = np.zeros((1, 40, 40), dtype=np.int16)
    values[:, :, 20:] = 1000
    picture = show(a_picture, Volume(a_scan(1).grid, values), np.zeros((1, 40, 40), dtype=bool), Extent(0, 0))
    seen = tile(picture, 0, 1)
    assert (seen[:, :100] == 0).all() and (seen[:, 140:] == 255).all()  # sharp but for the smooth enlargement at the edge


# --- which slices


def tiles_with(picture: np.ndarray, color, count: int, columns: int) -> list[int]:
    return [number for number in range(count) if of_color(tile(picture, number, columns), color).any()]


def test_no_more_than_the_tiles_asked_for_are_shown_in_order(a_picture):
    volume = a_scan(30)
    mask = a_mask(volume, (29, slice(5, 15), slice(8, 18)))
    picture = show(a_picture, volume, mask, Extent(0, 29), tiles=5)  # two rows of three
    assert picture.shape[:2] == (GAP + 2 * (TILE + CAPTION + GAP), GAP + 3 * (TILE + GAP))
    assert tiles_with(picture, RED, 5, 3) == [4]  # the last slice is the last tile
    assert (tile(picture, 5, 3) == (24, 24, 28)).all()  # no sixth


@pytest.mark.parametrize("boxed", [[50], [50, 51], [50, 51, 52], [0, 1], [98, 99], [33, 0, 34]])
def test_the_slices_with_a_box_are_always_shown(a_picture, boxed):
    volume = a_scan(100, 20, 20)
    boxes = {position: Box2D(5, 15, 5, 15) for position in boxed}
    picture = show(a_picture, volume, np.zeros((100, 20, 20), dtype=bool), Extent(0, 99), boxes=boxes, tiles=4)
    assert len(tiles_with(picture, YELLOW, 6, 3)) == len(boxed)
    assert (tile(picture, 4, 3) == (24, 24, 28)).all()  # four tiles, not five


def test_more_boxes_than_tiles_are_all_shown(a_picture):
    volume = a_scan(100, 20, 20)
    boxes = {position: Box2D(5, 15, 5, 15) for position in (3, 40, 41)}
    picture = show(a_picture, volume, np.zeros((100, 20, 20), dtype=bool), Extent(0, 99), boxes=boxes, tiles=1)
    assert tiles_with(picture, YELLOW, 3, 3) == [0, 1, 2]


def test_a_caption_stands_above_its_own_tile(a_picture):
    volume = a_scan()
    empty = np.zeros(volume.grid.shape_kji, dtype=bool)
    picture = show(a_picture, volume, empty, Extent(0, 2), captions={0: "", 1: "a caption", 2: ""})
    written = (picture[GAP : GAP + CAPTION] > 100).all(axis=-1)
    columns = np.flatnonzero(written.any(axis=0))
    assert columns.size and columns.min() >= GAP + TILE + GAP and columns.max() < GAP + 2 * (TILE + GAP)


# --- the file


def test_the_file_is_a_valid_png_and_the_only_one(a_picture):
    volume = a_scan()
    show(a_picture, volume, np.zeros(volume.grid.shape_kji, dtype=bool), Extent(0, 2))
    assert a_picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with image_module.open(a_picture) as picture:
        assert picture.format == "PNG" and picture.mode == "RGB"
        picture.verify()
    assert names_in(a_picture.parent) == ["preview.png"]


def test_volume_and_mask_stay_as_they_are(a_picture):
    volume = a_scan()
    mask = a_mask(volume, (1, slice(5, 15), slice(8, 18)))
    mask.setflags(write=False)
    show(a_picture, volume, mask, Extent(0, 2), truth_kji=mask)
    assert (volume.array_kji == 50).all() and mask.sum() == 100


@pytest.mark.parametrize("name", ["preview.jpg", "preview", "preview.png.gz"])
def test_another_name_is_refused(tmp_path, name):
    volume = a_scan()
    for refuse in (require_png_name, lambda path: show(path, volume, volume.array_kji > 0, Extent(0, 2))):
        with pytest.raises(OutputError, match=f"Cannot write '{name}': the preview is a picture, its name must end in .png"):
            refuse(tmp_path / name)
    assert names_in(tmp_path) == []


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(OutputError, match="the folder '.*gone' does not exist. Create it first"):
        require_png_name(tmp_path / "gone" / "preview.png")


def test_a_full_disk_leaves_the_older_picture_and_nothing_else(a_picture, monkeypatch):
    def half_written(picture, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    volume = a_scan()
    a_picture.write_bytes(b"old")
    monkeypatch.setattr(image_module.Image, "save", half_written)
    with pytest.raises(OutputError, match="Cannot write '.*preview.png': No space left on device. Nothing was changed there"):
        show(a_picture, volume, volume.array_kji > 99, Extent(0, 2))
    assert a_picture.read_bytes() == b"old"
    assert names_in(a_picture.parent) == ["preview.png"]


def test_without_pillow_the_error_says_what_to_install(a_picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingPackageError, match="Writing a preview.*pip install Pillow"):
        write_montage(a_picture, a_scan(), SliceStack.along(a_scan().grid), MAPPING, a_scan().array_kji > 99, Extent(0, 2))
