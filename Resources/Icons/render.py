"""Draws the module's icon from its SVG and the sample case's thumbnail from the case. Imports PySide6, Pillow, scipy, the library.

    python Resources/Icons/render.py

Run after a change of the SVG or of the sample case, and look at what it wrote.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer
from scipy.ndimage import binary_erosion

from SAM2AnnotateLib.geometry import SliceStack
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.volume_io import read_volume

ROOT = Path(__file__).resolve().parents[2]
ICONS = ROOT / "SAM2Annotate" / "Resources" / "Icons"

ICON_SIDE = 128  # what the Extensions Index asks for
THUMBNAIL_SIZE = (288, 192)
OUTLINE_COLOR = (54, 232, 138)
SAMPLE_CREDIT = (  # the license of the data wants to be named wherever they go
    "Soft-tissue-Sarcoma collection of The Cancer Imaging Archive, doi 10.7937/K9/TCIA.2015.7GO2GSKS, patient STS_003, CC BY 3.0; "
    "slice and outline drawn by SAM2Annotate"
)
SAMPLE_SLICE = 25
SAMPLE_WINDOW_HU = (-160.0, 240.0)


def render_svg(svg: Path, png: Path, side: int) -> None:
    """Draw a square SVG on a transparent ground of side x side pixels.

    Raises:
        ValueError: the file is no SVG that Qt reads.
    """
    renderer = QSvgRenderer(str(svg))
    if not renderer.isValid():
        raise ValueError(f"Qt cannot read '{svg}' as SVG; it knows SVG Tiny 1.2.")
    image = QImage(side, side, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    if not image.save(str(png)):
        raise OSError(f"Cannot write '{png}'. Check that the folder may be written.")


def draw_sample_thumbnail(case: Path, png: Path) -> None:
    """Draw a slice of the sample case with the experts' outline, 3:2 as Slicer's Sample Data shows its buttons.

    Args:
        case: folder with image.nii.gz and label.nii.gz.
        png: where to write.
    """
    image, label = read_volume(case / "image.nii.gz"), read_volume(case / "label.nii.gz")
    stack = SliceStack.along(image.grid, "axial")
    position = stack.position_of(SAMPLE_SLICE)
    gray = IntensityMapping(*SAMPLE_WINDOW_HU, "explicit", "thumbnail").to_uint8(stack.frame(image.array_kji, position))
    mask = Image.fromarray(np.where(stack.frame(label.array_kji, position) != 0, 255, 0).astype(np.uint8))

    height, width = (round(count * mm) for count, mm in zip(stack.frame_shape_rc, stack.frame_spacing_rc_mm, strict=True))
    cut_mm = (0, (height - round(width / 1.5)) // 2, width, (height + round(width / 1.5)) // 2)
    picture, mask = (
        each.resize((width, height), Image.Resampling.BICUBIC).crop(cut_mm).resize(THUMBNAIL_SIZE, Image.Resampling.BICUBIC)
        for each in (Image.fromarray(gray).convert("RGB"), mask)
    )
    inside = np.asarray(mask) >= 128
    outline = inside & ~binary_erosion(inside, iterations=3)
    pixels = np.array(picture)
    pixels[outline] = OUTLINE_COLOR
    credit = PngInfo()
    credit.add_text("Source", SAMPLE_CREDIT)
    Image.fromarray(pixels).save(png, optimize=True, pnginfo=credit)


def main() -> None:
    """Write all pictures."""
    render_svg(ICONS / "SAM2Annotate.svg", ICONS / "SAM2Annotate.png", ICON_SIDE)
    draw_sample_thumbnail(ROOT / "SAM2AnnotateLib" / "sample_data" / "ct_sarcoma_003", ICONS / "SampleCtSarcoma.png")


if __name__ == "__main__":
    main()
