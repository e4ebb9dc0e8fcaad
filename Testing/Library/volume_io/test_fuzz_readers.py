"""Damaged files of every kind: one line or the right volume; never a traceback, a hang, much memory, or another volume in silence.

Files are changed at random with fixed seeds. ``SAM2ANNOTATE_FUZZ=20`` in the environment makes it twenty times as long, with further seeds.
What must hold of each change:

- what comes out is a `SAM2AnnotateError` of one line, or a volume;
- no reading takes longer than `LONGEST_S`, or more memory than `LARGEST_MB`;
- where the voxels carry a checksum, the values are those that were written;
- where only the voxels were changed (never the header), the geometry is the one that was written.
"""

from __future__ import annotations

import gzip
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ENHANCED_MR, a_stack, an_enhanced, item, read_back, write
from patients import an_oblique_rotation

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.sources import read_segments
from SAM2AnnotateLib.volume_io import read_dicom, read_volume, write_volume
from SAM2AnnotateLib.volume_io.write_dicom_seg import DicomSegment, write_dicom_seg

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")

ROUNDS = 130
LENGTH = float(os.environ.get("SAM2ANNOTATE_FUZZ", "1"))
LONGEST_S = 10.0
LARGEST_MB = 200
SHAPE = (6, 16, 18)
VOXELS = (np.add.outer(np.arange(6) * 40, np.arange(16 * 18).reshape(16, 18) // 3)).astype(np.int16)  # smooth, so that it packs well
MASK = np.zeros(SHAPE, dtype=np.uint8)
MASK[1:5, 4:10, 5:12] = 1


def a_grid() -> VolumeGrid:
    matrix = np.eye(4)
    matrix[:3, :3] = an_oblique_rotation()[:3, :3] * np.array([0.7, 0.8, 2.5])
    matrix[:3, 3] = [10, -20, 30]
    return VolumeGrid(SHAPE, matrix)


def changed(data: bytes, rng: random.Random, first: int, last: int) -> bytes:
    """Some bytes between two places flipped, cleared, replaced, doubled or taken out, or all behind a place cut off."""
    out = bytearray(data)
    at = rng.randrange(first, max(last, first + 1))
    length = rng.choice((1, 2, 4, 16, 64))
    kind = rng.randrange(8)
    if kind == 0:
        out[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        out[at] = rng.randrange(256)
    elif kind == 2:
        out[at : at + length] = bytes(len(out[at : at + length]))
    elif kind == 3:
        out[at : at + length] = rng.randbytes(len(out[at : at + length]))
    elif kind == 4:
        del out[at:]
    elif kind == 5:
        del out[at : at + length]
    elif kind == 6:
        out[at:at] = out[at : at + length]
    else:  # text: another digit, sign or letter
        out[at] = ord(rng.choice("0123456789-+.eE ()\\nN"))
    return bytes(out)


class Fuzz:
    """Counts outcomes, and holds the four rules above."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder, self.counts = name, folder, Counter()

    def run(
        self, path: Path, read: Callable[[], object], rng: random.Random, first: int, last: int, require: Callable[[object], None]
    ) -> None:
        """Change a file again and again; `require` is given what was read."""
        whole = path.read_bytes()
        for _ in range(int(ROUNDS * LENGTH)):
            data = changed(whole, rng, first, last if last > 0 else len(whole) + last)
            if data == whole:
                continue
            path.write_bytes(data)
            started = time.perf_counter()
            try:
                result = read()
            except SAM2AnnotateError as error:
                assert "\n" not in str(error).strip(), error
                self.counts["refused"] += 1
            except Exception as error:
                kept = self.folder / f"traceback{path.suffix}"
                kept.write_bytes(data)
                raise AssertionError(f"{self.name}: a traceback from '{kept}': {error!r}") from error
            else:
                require(result)
                self.counts["read"] += 1
            assert time.perf_counter() - started < LONGEST_S, f"{self.name}: hangs"
        path.write_bytes(whole)

    def show(self) -> None:
        sys.stdout.write(f"\n{self.name}: {dict(self.counts)}\n")


def memory_mb() -> float:
    """The most memory that this process ever held; 0 where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


@pytest.fixture(autouse=True)
def little_memory():
    before_mb = memory_mb()
    yield
    assert memory_mb() - before_mb < LARGEST_MB


def anything(_result: object) -> None:
    """A header says of itself what it is: no rule for what comes of a changed one, but that it is a volume."""


def the_same_values(result) -> None:
    assert np.array_equal(result.array_kji, VOXELS)


def the_same_grid(result) -> None:
    assert result.grid.is_close(a_grid())


def packed_beginning(path: Path) -> int:
    """The first byte behind the header of a NRRD or MHA file."""
    data = path.read_bytes()
    return data.find(b"\n\n") + 2 if path.suffix == ".nrrd" else data.find(b"LOCAL\n") + 6


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_images(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_volume(Volume(a_grid(), VOXELS), path)
    fuzz = Fuzz(suffix, tmp_path)
    rng = random.Random(suffix)
    if suffix == ".nii":
        fuzz.run(path, lambda: read_volume(path), rng, 0, 352, anything)
        fuzz.run(path, lambda: read_volume(path), rng, 352, 0, the_same_grid)
    elif suffix == ".nii.gz":  # header and voxels lie behind one checksum
        fuzz.run(path, lambda: read_volume(path), rng, 10, 0, lambda result: (the_same_values(result), the_same_grid(result)))
    else:
        start = packed_beginning(path)
        fuzz.run(path, lambda: read_volume(path), rng, 0, start, anything)
        fuzz.run(path, lambda: read_volume(path), rng, start, 0, lambda result: (the_same_values(result), the_same_grid(result)))
    fuzz.show()
    assert fuzz.counts["refused"] > 20


def read_packed(path: Path, packed: Path):
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    return read_volume(packed)


def test_a_nifti_header_behind_a_sound_checksum(tmp_path):
    path = tmp_path / "a.nii"
    write_volume(Volume(a_grid(), VOXELS), path)
    packed, rng, fuzz = tmp_path / "a.nii.gz", random.Random(7), Fuzz("NIfTI header, packed", tmp_path)
    for version in (1, 2):
        if version == 2:
            nibabel.save(nibabel.Nifti2Image(VOXELS.T, a_grid().ijk_to_ras), path)
        fuzz.run(path, lambda: read_packed(path, packed), rng, 0, 352 if version == 1 else 544, anything)
    fuzz.show()


def a_series(folder: Path) -> Path:
    rotation = an_oblique_rotation()[:3, :3]

    def change(k, image):
        image.ImageOrientationPatient = [round(float(one), 8) for one in rotation[:, :2].T.ravel()]
        image.ImagePositionPatient = [round(float(one), 6) for one in np.array([10.0, -20, 30]) + 2.5 * k * np.cross(*rotation[:, :2].T)]
        image.PixelSpacing, image.RescaleIntercept = [0.8, 0.7], "-24"

    return a_stack(folder, VOXELS, change)


def test_a_dicom_series(tmp_path):
    folder = a_series(tmp_path / "s")
    grid = read_volume(folder).grid
    fuzz, rng = Fuzz("DICOM series, one slice changed", tmp_path), random.Random(2)
    file = folder / "i3.dcm"
    voxels_at = len(file.read_bytes()) - VOXELS[0].nbytes

    def the_other_slices_are_untouched(volume) -> None:
        """A changed slice may have another value of its own; what the other five say, and where they lie, stays."""
        if volume.array_kji.shape == SHAPE:
            assert volume.grid.is_close(grid) or np.linalg.norm(volume.grid.ijk_to_ras - grid.ijk_to_ras) < 0.3
            assert np.array_equal(np.delete(volume.array_kji, 3, axis=0), np.delete(VOXELS, 3, axis=0) - 24)

    fuzz.run(file, lambda: read_volume(folder), rng, 0, voxels_at, the_other_slices_are_untouched)
    fuzz.run(file, lambda: read_volume(folder), rng, voxels_at, 0, lambda volume: the_other_slices_are_untouched(volume))
    fuzz.show()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_multi_frame_file(compressed, tmp_path):
    def frame(n):
        return {"FrameContentSequence": [item(TemporalPositionIndex=1, DimensionIndexValues=[n + 1])]}

    path = write(an_enhanced(VOXELS, [0, 3, 6, 9, 12, 15], frame, sop_class=ENHANCED_MR, modality="MR"), tmp_path / "e.dcm")
    if compressed:
        image = read_back(path)
        image.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        write(image, path)
    fuzz = Fuzz(f"enhanced MR{', RLE' if compressed else ''}", tmp_path)
    fuzz.run(path, lambda: read_volume(path), random.Random(3), 132, 0, anything)
    fuzz.show()


def test_a_dicom_segmentation(tmp_path):
    image = read_dicom(a_series(tmp_path / "s"))
    path = tmp_path / "seg.dcm"
    write_dicom_seg([DicomSegment("liver", MASK != 0)], image.slices, path)
    fuzz, rng = Fuzz("DICOM SEG", tmp_path), random.Random(4)
    for grid, slices in ((None, ()), (image.volume.grid, image.slices)):
        fuzz.run(path, lambda grid=grid, slices=slices: read_segments(path, None, grid, slices), rng, 132, 0, anything)
    fuzz.show()


def test_a_slicer_segmentation(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    write_volume(Volume(a_grid(), MASK), path)
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    pairs = (
        b"\nSegment0_ID:=S1\nSegment0_LabelValue:=1\nSegment0_Layer:=0\nSegment0_Name:=liver\nSegment0_Tags:=TerminologyEntry:a~SCT^1^x|"
    )
    path.write_bytes(header + pairs + b"\n\n" + voxels)
    fuzz, rng = Fuzz(".seg.nrrd", tmp_path), random.Random(5)
    start = packed_beginning(path)

    def the_same_mask(found) -> None:
        (segment,) = found.segments
        assert segment.mask.array_kji.sum() == MASK.sum()

    fuzz.run(path, lambda: read_segments(path), rng, 0, start, anything)
    fuzz.run(path, lambda: read_segments(path), rng, start, 0, the_same_mask)
    fuzz.show()
