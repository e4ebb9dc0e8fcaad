"""Every volume that ships with the readers' own packages: read equal to an independent reader, or refused in one true line.

What was read and what was refused, and why, is printed as a table (pytest -s, or among the captured output).
"""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from SAM2AnnotateLib.errors import VolumeError
from SAM2AnnotateLib.nnunet.sources import read_segments
from SAM2AnnotateLib.volume_io import read_volume

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
sitk = pytest.importorskip("SimpleITK")

# What a true line says, and what must hold for it to be true.
REASONS = {
    "no place": r"states no (position|orientation|Pixel Spacing)",
    "no depth": r"single slice and states no Slice Thickness",
    "frames without places": r"does not say where each of them lies",
    "no image in it": r"found none",
    "a segmentation": r"holds a DICOM segmentation",
    "color": r"is in color|values per voxel \(color",
    "several volumes": r"--volume 1 to \d+",
    "several series": r"Choose one with --series",
    "uneven slices": r"not evenly spaced|lie at one position",
    "cut off": r"is incomplete",
    "too many bytes": r"bytes of pixel data, its header says",
    "no pixel data": r"holds no pixel data",
    "NaN voxels": r"NaN or infinite voxels",
    "other dimensions": r"dimensions \(",
    "not DICOM": r"named like a DICOM file but is none",
    "no rows": r"states no rows",
    "damaged element": r"could not be read; it may be damaged|says not what it is",
    "no geometry": r"neither a qform nor an sform",
    "header of a pair": r"is the header of a NIfTI pair|not marked as NIfTI",
}


def shipped(package, *suffixes: str) -> list[Path]:
    root = Path(package.__file__).parent
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name.lower().endswith(suffixes))


def reason_of(error: VolumeError) -> str:
    text = str(error)
    assert "\n" not in text
    found = [name for name, pattern in REASONS.items() if re.search(pattern, text)]
    assert found, f"a reason that this test does not know: {text}"
    return found[0]


def show(title: str, counts: Counter) -> None:
    sys.stdout.write(f"\n{title}: {sum(counts.values())}\n" + "".join(f"  {number:4d}  {what}\n" for what, number in counts.most_common()))


def test_nifti_files_of_nibabel():
    counts: Counter = Counter()
    for path in shipped(nibabel, ".nii", ".nii.gz"):
        try:
            volume = read_volume(path)
        except VolumeError as error:
            counts[f"refused: {reason_of(error)}"] += 1
            if "--volume" in str(error):  # each time point is a volume
                image = nibabel.load(path)
                for number in (1, image.shape[3]):
                    one = read_volume(path, number=number)
                    np.testing.assert_allclose(one.array_kji.T, image.get_fdata()[..., number - 1], rtol=1e-6)
                    np.testing.assert_allclose(one.grid.ijk_to_ras, image.affine, atol=1e-3)
                counts["read equal to nibabel, by --volume"] += 1
            continue
        image = nibabel.load(path)
        np.testing.assert_allclose(volume.grid.ijk_to_ras, image.affine, atol=1e-3)
        np.testing.assert_allclose(volume.array_kji.T, np.squeeze(image.get_fdata()), rtol=1e-6)
        counts["read equal to nibabel"] += 1
    show("NIfTI", counts)
    assert counts["read equal to nibabel"] >= 3


def independent(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels by pydicom's own pipeline, and the matrix to LPS by GDCM (without its slice distance)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path, force=True)
        array = data.pixel_array.astype(np.float64)
        if "DoseGridScaling" in data:
            values = array * float(data.DoseGridScaling)
        else:
            values = array * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    directions = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
    return values.reshape((-1, *values.shape[-2:])), np.column_stack([directions[:, :2], reader.GetOrigin()])


def test_dicom_files_of_pydicom_and_nibabel(tmp_path):
    counts: Counter = Counter()
    files = [path for path in (Path(pydicom.__file__).parent / "data").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    for number, path in enumerate(sorted(files) + shipped(nibabel, ".dcm")):
        folder = tmp_path / str(number)
        folder.mkdir()
        copy = Path(shutil.copy(path, folder))
        try:
            volume = read_volume(folder)
        except VolumeError as error:
            counts[f"refused: {reason_of(error)}"] += 1
            continue
        values, matrix = independent(copy)
        np.testing.assert_allclose(volume.array_kji, values, rtol=1e-5, err_msg=path.name)
        ours = (np.diag([-1.0, -1, 1, 1]) @ volume.grid.ijk_to_ras)[:3, [0, 1, 3]]
        np.testing.assert_allclose(ours, matrix, atol=1e-3, err_msg=path.name)
        counts["read equal to pydicom (voxels) and GDCM (place)"] += 1
    show("DICOM, each file alone", counts)
    assert counts["read equal to pydicom (voxels) and GDCM (place)"] >= 40


def test_dicom_folders_of_pydicom():
    counts: Counter = Counter()
    root = Path(pydicom.__file__).parent / "data"
    folders = sorted({path.parent for path in root.rglob("*") if path.is_file() and not path.suffix and "dicomdirtests" in path.parts})
    for folder in folders:
        try:
            volume = read_volume(folder)
        except VolumeError as error:
            counts[f"refused: {reason_of(error)}"] += 1
            continue
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        image = reader.Execute()
        np.testing.assert_allclose(volume.array_kji, sitk.GetArrayFromImage(image), rtol=1e-5, err_msg=folder.name)
        expected = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        ours = np.diag([-1.0, -1, 1]) @ volume.grid.ijk_to_ras[:3, : 3 if len(volume.array_kji) > 1 else 2]
        np.testing.assert_allclose(ours, expected[:, : ours.shape[1]], atol=1e-3, err_msg=folder.name)
        counts["read equal to ITK"] += 1
    show("DICOM, folders", counts)
    assert sum(counts.values()) >= 5


def test_nrrd_files_and_segmentations_of_slicerio():
    slicerio = pytest.importorskip("slicerio")
    nrrd = pytest.importorskip("nrrd")
    counts: Counter = Counter()
    for path in shipped(slicerio, ".nrrd"):
        array, header = nrrd.read(str(path))
        if path.name.endswith(".seg.nrrd"):
            content = slicerio.read_segmentation(str(path))
            layers = np.asarray(content["voxels"])
            layers = layers[np.newaxis] if layers.ndim == 3 else layers
            found = read_segments(path).segments
            for ours, theirs in zip(found, content["segments"], strict=True):
                assert ours.name == theirs["name"]
                assert ours.mask.array_kji.sum() == (layers[theirs.get("layer", 0)] == theirs["labelValue"]).sum()
            counts["read equal to slicerio"] += 1
        else:
            volume = read_volume(path)
            assert np.array_equal(volume.array_kji.T, array)
            np.testing.assert_allclose(np.diag([-1, -1, 1]) @ volume.grid.ijk_to_ras[:3, :3], header["space directions"].T, atol=1e-6)
            counts["read equal to pynrrd"] += 1
    show("NRRD", counts)
    assert sum(counts.values()) >= 3


def test_segmentations_of_pydicom():
    highdicom = pytest.importorskip("highdicom")
    counts: Counter = Counter()
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("liver*.dcm")):
        try:
            found = read_segments(path).segments
        except VolumeError as error:
            counts["refused: " + str(error).rpartition("' ")[2][:90]] += 1
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = highdicom.seg.segread(path)
            frames = content.pixel_array
        assert [one.name for one in found] == [str(content.get_segment_description(n).segment_label) for n in content.segment_numbers]
        assert sum(int(one.mask.array_kji.sum()) for one in found) == int(frames.sum())
        counts["read equal to highdicom"] += 1
    show("DICOM SEG", counts)
    assert sum(counts.values()) >= 2
