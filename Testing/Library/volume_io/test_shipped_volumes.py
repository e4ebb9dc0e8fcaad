"""Every volume that ships with the readers' own packages: read equal to an independent reader, or refused in one true line.

What was read and what was refused, and why, is printed as a table (pytest -s, or among the captured output). With SAM2ANNOTATE_TEST_INDEX=1
the test data of further packages are downloaded from the package index (110 MB) and read, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
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
    "no size": r"expected two positive lengths",
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


def compare_nifti(files: Sequence[Path]) -> Counter:
    counts: Counter = Counter()
    for path in files:
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
    return counts


def test_nifti_files_of_nibabel():
    counts = compare_nifti(shipped(nibabel, ".nii", ".nii.gz"))
    show("NIfTI", counts)
    assert counts["read equal to nibabel"] >= 3


def stored_values(data) -> np.ndarray:
    """By pydicom; what that cannot unpack by imagecodecs."""
    try:
        return data.pixel_array
    except RuntimeError:
        imagecodecs = pytest.importorskip("imagecodecs")
    is_2000 = data.file_meta.TransferSyntaxUID in (pydicom.uid.JPEG2000, pydicom.uid.JPEG2000Lossless)
    decode = imagecodecs.jpeg2k_decode if is_2000 else imagecodecs.jpeg_decode
    count = int(data.get("NumberOfFrames") or 1)
    frames = np.stack([decode(one) for one in pydicom.encaps.generate_frames(data.PixelData, number_of_frames=count)])
    unused = 8 * frames.itemsize - data.BitsStored
    return (frames.astype(f"{'i' if data.PixelRepresentation else 'u'}{frames.itemsize}") << unused) >> unused


def independent(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels by pydicom's own pipeline, and the matrix to LPS by GDCM (without its slice distance); enhanced images by highdicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path, force=True)
        if "PerFrameFunctionalGroupsSequence" in data:
            volume = pytest.importorskip("highdicom").imread(path).get_volume()
            across, rows, columns, origin = volume.affine[:3].T
            if across @ np.cross(columns, rows) < 0:
                return volume.array[::-1], np.column_stack([columns, rows, origin + (len(volume.array) - 1) * across])
            return volume.array, np.column_stack([columns, rows, origin])
        array = stored_values(data).astype(np.float64)
        if "DoseGridScaling" in data:
            values = array * float(data.DoseGridScaling)
        else:
            values = array * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    directions = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
    return values.reshape((-1, *values.shape[-2:])), np.column_stack([directions[:, :2], reader.GetOrigin()])


def compare_dicom(files: Sequence[Path], folder: Path) -> Counter:
    """Each file alone, in a folder of its own."""
    counts: Counter = Counter()
    for number, path in enumerate(files):
        own = folder / str(number)
        own.mkdir()
        copy = Path(shutil.copy(path, own))
        try:
            volume = read_volume(own)
        except VolumeError as error:
            counts[f"refused: {reason_of(error)}"] += 1
            continue
        values, matrix = independent(copy)
        np.testing.assert_allclose(volume.array_kji, values, rtol=1e-5, err_msg=path.name)
        ours = (np.diag([-1.0, -1, 1, 1]) @ volume.grid.ijk_to_ras)[:3, [0, 1, 3]]
        np.testing.assert_allclose(ours, matrix, atol=1e-3, err_msg=path.name)
        counts["read equal to pydicom (voxels) and GDCM (place)"] += 1
    return counts


def test_dicom_files_of_pydicom_and_nibabel(tmp_path):
    files = [path for path in (Path(pydicom.__file__).parent / "data").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    counts = compare_dicom(sorted(files) + shipped(nibabel, ".dcm"), tmp_path)
    show("DICOM, each file alone", counts)
    assert counts["read equal to pydicom (voxels) and GDCM (place)"] >= 40


@pytest.mark.skipif(os.environ.get("SAM2ANNOTATE_TEST_INDEX") != "1", reason="takes packages from the index: set SAM2ANNOTATE_TEST_INDEX=1")
@pytest.mark.parametrize(
    ("package", "read", "refused"),
    [("nilearn==0.14.1", 4, 0), ("dipy==1.12.1", 4, 5), ("pydicom-data==1.0.0", 10, 58), ("deid-data==0.0.20", 0, 15)],
)
def test_volumes_of_packages_on_the_index(package, read, refused, tmp_path):
    call = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(tmp_path / "packed"), package]
    subprocess.run(call, check=True, timeout=300)
    (packed,) = (tmp_path / "packed").iterdir()
    if packed.suffix == ".whl":
        zipfile.ZipFile(packed).extractall(tmp_path / "data")
    else:
        with tarfile.open(packed) as archive:
            archive.extractall(tmp_path / "data", filter="data")
    for inner in list((tmp_path / "data").rglob("*.zip")):
        zipfile.ZipFile(inner).extractall(inner.with_suffix(""))
    files = sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file())
    (tmp_path / "alone").mkdir()
    counts = compare_nifti([path for path in files if path.name.endswith((".nii", ".nii.gz"))])
    counts += compare_dicom([path for path in files if path.suffix == ".dcm"], tmp_path / "alone")
    show(package, counts)
    assert sum(number for what, number in counts.items() if what.startswith("refused")) == refused
    assert sum(number for what, number in counts.items() if what.startswith("read equal") and "--volume" not in what) == read


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
