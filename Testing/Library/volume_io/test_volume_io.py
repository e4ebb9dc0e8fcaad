"""Files: the same voxels at the same places after a round trip, one clear error for what cannot be used, nothing half-written."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from patients import SHAPE_KJI, an_anisotropic_volume, names_in, run_python

from SAM2AnnotateLib.errors import MissingPackageError, OutputError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import read_volume, write_volume
from SAM2AnnotateLib.volume_io.write import require_writable

nibabel = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
every_format = pytest.mark.parametrize("suffix", SUFFIXES)


def outer_corners_ras(grid: VolumeGrid) -> np.ndarray:
    """(2, 2, 2, 3) corners of the first and last voxel along i, j, k, half a voxel beyond their centers."""
    ni, nj, nk = grid.shape_kji[::-1]
    return np.array([[[grid.ras_from_ijk([i, j, k]) for k in (-0.5, nk - 0.5)] for j in (-0.5, nj - 0.5)] for i in (-0.5, ni - 0.5)])


# --- round trips


@every_format
def test_every_voxel_comes_back_to_its_place(a_patient, orientation, suffix, tmp_path):
    stored = orientation.volume(a_patient)
    path = tmp_path / f"volume{suffix}"
    write_volume(stored, path)
    back = read_volume(path)
    assert np.array_equal(back.array_kji, stored.array_kji)
    assert back.array_kji.dtype == np.int16
    assert back.grid.orientation == stored.grid.orientation
    assert np.abs(outer_corners_ras(back.grid) - outer_corners_ras(stored.grid)).max() < 1e-4
    assert names_in(tmp_path) == [path.name]


def test_nibabel_sees_the_same_voxels_at_the_same_places(a_patient, orientation, tmp_path):
    stored = orientation.volume(a_patient)
    write_volume(stored, tmp_path / "volume.nii.gz")
    seen = nibabel.load(tmp_path / "volume.nii.gz")
    assert np.abs(seen.affine - stored.grid.ijk_to_ras).max() < 1e-4
    assert np.array_equal(np.asarray(seen.dataobj), stored.array_kji.T)  # nibabel's arrays are (i, j, k)


def test_what_nibabel_writes_is_read_as_it_says(a_patient, orientation, tmp_path):
    stored = orientation.volume(a_patient)
    nibabel.save(nibabel.Nifti1Image(stored.array_kji.T, stored.grid.ijk_to_ras), tmp_path / "volume.nii.gz")
    back = read_volume(tmp_path / "volume.nii.gz")
    assert np.abs(back.grid.ijk_to_ras - stored.grid.ijk_to_ras).max() < 1e-4
    assert np.array_equal(back.array_kji, stored.array_kji)


def test_an_nrrd_header_states_the_grid_in_lps(tmp_path):
    matrix = np.array([[-0.5, 0, 0, 10], [0, 0, 3, -20], [0, 0.75, 0, 30], [0, 0, 0, 1]])
    write_volume(Volume(VolumeGrid((2, 3, 4), matrix), np.zeros((2, 3, 4), dtype=np.uint8)), tmp_path / "volume.nrrd")
    header = (tmp_path / "volume.nrrd").read_bytes().split(b"\n\n")[0].decode()
    assert "space: left-posterior-superior" in header
    assert "sizes: 4 3 2" in header
    # R and A change sign: i runs to L, j to S, k to A, which is against P.
    directions = header.split("space directions: ")[1].splitlines()[0]
    assert [tuple(float(mm) for mm in vector.split(",")) for vector in directions.strip("()").split(") (")] == [
        (0.5, 0, 0), (0, 0, 0.75), (0, -3, 0),
    ]  # fmt: skip
    origin = header.split("space origin: ")[1].splitlines()[0]
    assert [float(mm) for mm in origin.strip("()").split(",")] == [-10, 20, 30]


@every_format
@pytest.mark.parametrize("shape", [(1, 5, 6), (4, 1, 6), (4, 5, 1), (1, 1, 1)])
def test_a_volume_of_one_slice_stays_three_dimensional(suffix, shape, tmp_path):
    volume = Volume(VolumeGrid(shape, np.diag([2.0, 3, 4, 1])), np.full(shape, 7, dtype=np.uint8))
    write_volume(volume, tmp_path / f"volume{suffix}")
    back = read_volume(tmp_path / f"volume{suffix}")
    assert back.array_kji.shape == shape
    assert back.grid.spacing_ijk_mm == pytest.approx([2, 3, 4])


@every_format
@pytest.mark.parametrize(
    "dtype, comes_back_as",
    [
        ("bool", "uint8"), ("uint8", "uint8"), ("int8", "int8"), ("uint16", "uint16"), ("int32", "int32"), ("int64", "int64"),
        ("float16", "float32"), ("float32", "float32"), ("float64", "float64"), (">i2", "int16"), (">f4", "float32"),
    ],
)  # fmt: skip
def test_every_real_type_keeps_its_numbers(suffix, dtype, comes_back_as, tmp_path):
    voxels = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 100, SHAPE_KJI).astype(dtype)
    write_volume(Volume(VolumeGrid(SHAPE_KJI, np.eye(4)), voxels), tmp_path / f"volume{suffix}")
    back = read_volume(tmp_path / f"volume{suffix}").array_kji
    assert np.array_equal(back, voxels)
    assert back.dtype == comes_back_as


def test_a_view_of_a_mask_is_written_as_it_looks(tmp_path):
    mask = np.random.default_rng(2).integers(0, 2, (6, 5, 4)).astype(bool)[::-1].transpose(2, 1, 0)
    write_volume(Volume(VolumeGrid(mask.shape, np.eye(4)), mask), tmp_path / "mask.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "mask.nii.gz").array_kji, mask)


def test_the_rescaling_that_a_nifti_file_states_is_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(4, 3, 2), np.eye(4))
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / "rescaled.nii")
    assert read_volume(tmp_path / "rescaled.nii").array_kji[1, 2, 3] == 23 * 2 - 1024


def test_a_big_endian_nifti_file_is_read(tmp_path):
    voxels = np.arange(24, dtype=">i2").reshape(4, 3, 2)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), header), tmp_path / "big.nii.gz")
    assert gzip.decompress((tmp_path / "big.nii.gz").read_bytes())[:4] == (348).to_bytes(4, "big")
    assert np.array_equal(read_volume(tmp_path / "big.nii.gz").array_kji, voxels.T)


def test_detached_headers_are_read(tmp_path):
    volume = an_anisotropic_volume()
    for suffix in (".mhd", ".nhdr"):
        sitk.WriteImage(sitk.GetImageFromArray(volume.array_kji), str(tmp_path / f"volume{suffix}"))
        assert np.array_equal(read_volume(tmp_path / f"volume{suffix}").array_kji, volume.array_kji)


def test_names_with_spaces_umlauts_and_capitals_are_written_and_read(tmp_path):
    volume = an_anisotropic_volume()
    folder = tmp_path / "Ärztin Müller 1.5 T"
    folder.mkdir()
    for name in ("größe.nii.gz", "A.NII.GZ", "A.Nii", "B.Nrrd", "C.MHA"):
        write_volume(volume, folder / name)
        assert np.array_equal(read_volume(str(folder / name)).array_kji, volume.array_kji)
    assert names_in(folder) == ["A.NII.GZ", "A.Nii", "B.Nrrd", "C.MHA", "größe.nii.gz"]


def test_two_nifti_files_of_one_name_packed_and_not_are_not_mixed_up(tmp_path):
    grid = VolumeGrid(SHAPE_KJI, np.eye(4))
    for suffix, value in ((".nii", 1), (".nii.gz", 2)):
        write_volume(Volume(grid, np.full(SHAPE_KJI, value, dtype=np.uint8)), tmp_path / f"mask{suffix}")
    assert (read_volume(tmp_path / "mask.nii").array_kji == 1).all()
    assert (read_volume(tmp_path / "mask.nii.gz").array_kji == 2).all()


# --- DICOM


def a_series(folder: Path, positions_mm=(0, 3, 6, 9), *, uid="1.2.826.0.1.1", modality="CT", normal_shift_mm=0.0) -> Path:
    """Slices of 6 x 7 pixels; slice number n holds n * 2 + 100, which a slope of 2 and an intercept of -1024 stand for."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, position in enumerate(positions_mm):
        image = sitk.GetImageFromArray(np.full((1, 6, 7), number * 2 + 100, dtype=np.int16))
        image.SetSpacing((0.5, 0.75, 3.0))
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{number}",
            "0008|0060": modality,
            "0018|0050": "3",
            "0020|000d": "1.2.826.0.1",
            "0020|000e": uid,
            "0020|0013": str(number),
            "0020|0032": f"10\\{20 + number * normal_shift_mm}\\{position}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|1052": "-1024",
            "0028|1053": "2",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        # Names fall while positions rise: the order of the names must not count.
        writer.SetFileName(str(folder / f"{uid}-{99 - number}.dcm"))
        writer.Execute(image)
    return folder


def test_a_dicom_series_is_read_in_hu_with_its_modality_and_grid(tmp_path):
    folder = a_series(tmp_path / "ct")
    last_file = next(folder.glob("*-96.dcm")).read_bytes()
    assert np.frombuffer(last_file[-84:], "<i2").tolist() == [(106 + 1024) // 2] * 42  # stored values are not HU
    volume = read_volume(folder)
    assert volume.modality == "CT"
    assert volume.array_kji.shape == (4, 6, 7)
    assert volume.array_kji[:, 5, 6].tolist() == [100, 102, 104, 106]
    assert volume.grid.orientation == "LPS"
    assert volume.grid.spacing_ijk_mm == pytest.approx([0.5, 0.75, 3])
    assert volume.grid.ras_from_ijk([0, 0, 0]) == pytest.approx([-10, -20, 0])
    assert volume.grid.ras_from_ijk([1, 1, 1]) == pytest.approx([-10.5, -20.75, 3])


def test_the_modality_of_mr_is_told_and_a_file_tells_none(tmp_path):
    assert read_volume(a_series(tmp_path / "mr", modality="MR")).modality == "MR"
    write_volume(an_anisotropic_volume(), tmp_path / "volume.nrrd")
    assert read_volume(tmp_path / "volume.nrrd").modality is None


def test_a_single_dicom_slice_is_a_volume_of_one_slice(tmp_path):
    assert read_volume(a_series(tmp_path / "one", [5])).array_kji.shape == (1, 6, 7)


def test_a_folder_without_a_series_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(VolumeError, match="Expected one DICOM series in the folder '.*', found none"):
        read_volume(tmp_path)


def test_a_folder_with_two_series_is_refused_with_both(tmp_path):
    folder = a_series(tmp_path / "two")
    a_series(folder, uid="1.2.826.0.1.2")
    with pytest.raises(VolumeError, match=r"found 2: .*1\.2\.826\.0\.1\.1.*1\.2\.826\.0\.1\.2.*single series"):
        read_volume(folder)


def test_a_series_with_a_missing_slice_is_refused_not_squeezed(tmp_path):
    # ITK would take the mean gap for the spacing and show the slices of 3 and 9 mm at 4 and 8 mm.
    with pytest.raises(VolumeError, match="not evenly spaced along their normal: they lie up to 1 mm off. A slice may be missing"):
        read_volume(a_series(tmp_path / "gap", [0, 3, 9, 12]))


def test_a_series_with_a_slice_twice_or_a_tilted_gantry_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="2 images of the DICOM series in .* lie at one position, such as .* and 1 at others"):
        read_volume(a_series(tmp_path / "twice", [0, 3, 3, 6]))
    with pytest.raises(VolumeError, match="gantry was tilted"):
        read_volume(a_series(tmp_path / "tilted", normal_shift_mm=1.0))


def test_positions_rounded_by_the_scanner_are_accepted(tmp_path):
    assert read_volume(a_series(tmp_path / "rounded", [0, 3.01, 5.99, 9])).array_kji.shape == (4, 6, 7)


# --- what cannot be read


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="There is no file or folder '.*gone.nii'"):
        read_volume(tmp_path / "gone.nii")


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    for name in ("slice.png", "volume", "nii", "volume.nii.bz2"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(VolumeError, match=rf"'{name}' is of no known type. Expected .nii, .nii.gz, .nrrd.* or a folder with a DICOM"):
            read_volume(tmp_path / name)


@every_format
@pytest.mark.parametrize("content", [b"", b"x", b"not an image at all " * 100, bytes(1000)])
def test_a_file_that_is_something_else_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(content)
    with pytest.raises(VolumeError, match=r"'.*foreign.*' (could not be read|is damaged)"):
        read_volume(path)


@every_format
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.95])
def test_a_truncated_file_is_refused_not_filled_with_zeros(suffix, share, tmp_path):
    voxels = np.random.default_rng(3).integers(-1000, 1000, (10, 20, 30)).astype(np.int16)
    path = tmp_path / f"cut{suffix}"
    write_volume(Volume(VolumeGrid(voxels.shape, np.eye(4)), voxels), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(VolumeError, match="'.*cut.*' (could not be read: it does not begin like|is damaged|is incomplete)"):
        read_volume(path)


@pytest.mark.parametrize("endianness", "<>")
def test_a_nifti_file_that_lacks_its_last_byte_is_refused(endianness, tmp_path):
    header = nibabel.Nifti1Header(endianness=endianness)
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 3, 2), dtype=np.int16), np.eye(4), header), tmp_path / "whole.nii")
    content = (tmp_path / "whole.nii").read_bytes()
    assert read_volume(tmp_path / "whole.nii").array_kji.sum() == 24
    (tmp_path / "cut.nii").write_bytes(content[:-1])
    with pytest.raises(VolumeError, match=f"is incomplete: its header says {len(content)} bytes, there are {len(content) - 1}"):
        read_volume(tmp_path / "cut.nii")
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(content[:-1]))
    with pytest.raises(VolumeError, match="is incomplete"):
        read_volume(tmp_path / "cut.nii.gz")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_changed_byte_of_a_compressed_file_is_noticed(suffix, tmp_path):
    voxels = np.random.default_rng(3).integers(-1000, 1000, (10, 20, 30)).astype(np.int16)
    path = tmp_path / f"changed{suffix}"
    write_volume(Volume(VolumeGrid(voxels.shape, np.eye(4)), voxels), path)
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 255
    path.write_bytes(content)
    with pytest.raises(VolumeError, match="damaged"):
        read_volume(path)


@pytest.mark.parametrize("shape_ijk", [(6, 5), (6, 5, 4, 2), (6, 5, 4, 1, 3)])
def test_pictures_and_time_series_are_refused_with_their_size(shape_ijk, tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones(shape_ijk, dtype=np.int16), np.eye(4)), tmp_path / "volume.nii.gz")
    size = ", ".join(map(str, shape_ijk))
    with pytest.raises(VolumeError, match=rf"has {len(shape_ijk)} dimensions \({size}\). Expected a 3-D volume[:.] [Gg]ive one time point"):
        read_volume(tmp_path / "volume.nii.gz")


def test_a_fourth_axis_of_length_one_is_no_obstacle(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((6, 5, 4, 1), dtype=np.int16), np.eye(4)), tmp_path / "volume.nii")
    assert read_volume(tmp_path / "volume.nii").array_kji.shape == (4, 5, 6)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_color_volume_is_refused(suffix, tmp_path):
    path = tmp_path / f"color{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), dtype=np.uint8), isVector=True), str(path))
    with pytest.raises(VolumeError, match=r"has 3 values per voxel \(color or vectors\). Expected one"):
        read_volume(path)


def test_complex_voxels_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((6, 5, 4), dtype=np.complex64), np.eye(4)), tmp_path / "volume.nii")
    with pytest.raises(VolumeError, match="volume.nii': Expected real numbers as voxels"):
        read_volume(tmp_path / "volume.nii")


@every_format
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("where", [(0, 0, 0), (2, 4, 6)])
def test_nan_and_infinite_voxels_are_refused_wherever_they_are(suffix, bad, dtype, where, tmp_path):
    voxels = np.zeros((3, 5, 7), dtype=dtype)  # an odd number, so that the last voxel is no multiple of anything
    voxels[where] = bad
    path = tmp_path / f"volume{suffix}"
    if suffix.startswith(".nii"):
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    with pytest.raises(VolumeError, match="volume.*': The volume holds 1 NaN or infinite voxels"):
        read_volume(path)


def test_a_scan_is_not_written_to_while_it_is_read(tmp_path):
    path = tmp_path / "scan.nii.gz"
    write_volume(an_anisotropic_volume(), path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    read_volume(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert names_in(tmp_path) == ["scan.nii.gz"]


def test_writing_without_simpleitk_says_what_to_install(monkeypatch, tmp_path):
    write_volume(an_anisotropic_volume(), tmp_path / "there.nrrd")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    assert read_volume(tmp_path / "there.nrrd").array_kji.any()  # reading needs no package
    with pytest.raises(MissingPackageError, match="Writing volumes.*pip install SimpleITK"):
        write_volume(an_anisotropic_volume(), tmp_path / "a.nrrd")


# --- what cannot be written


def test_a_name_of_no_known_format_is_refused_before_anything_is_done(tmp_path):
    for name in ("mask.png", "mask", "mask.mhd", "mask.gz"):
        for refuse in (require_writable, lambda path: write_volume(an_anisotropic_volume(), path)):
            with pytest.raises(OutputError, match=rf"Cannot write '{name}': expected a file name that ends in .nii.gz, .nii, .nrrd, .mha"):
                refuse(tmp_path / name)
    assert names_in(tmp_path) == []


def test_a_missing_folder_is_refused_and_not_made(tmp_path):
    with pytest.raises(OutputError, match="the folder '.*gone' does not exist. Create it first"):
        write_volume(an_anisotropic_volume(), tmp_path / "gone" / "mask.nii.gz")
    assert names_in(tmp_path) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="the folder '.*file' does not exist"):
        write_volume(an_anisotropic_volume(), tmp_path / "file" / "mask.nii.gz")
    assert (tmp_path / "file").read_text() == "mine"


@every_format
def test_a_name_that_is_taken_by_a_folder_is_refused_and_the_folder_kept(suffix, tmp_path):
    path = tmp_path / f"mask{suffix}"
    path.mkdir()
    (path / "inside").write_text("mine")
    with pytest.raises(OutputError, match="Cannot write '.*mask.*': .*Nothing was changed"):
        write_volume(an_anisotropic_volume(), path)
    assert names_in(tmp_path) == [path.name] and names_in(path) == ["inside"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere, Windows folders know no such mode")
@every_format
def test_a_read_only_folder_is_refused(suffix, tmp_path):
    folder = tmp_path / "fixed"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="Cannot write"):
            write_volume(an_anisotropic_volume(), folder / f"mask{suffix}")
        assert names_in(folder) == []
    finally:
        folder.chmod(0o755)


@every_format
def test_an_older_file_is_replaced(suffix, tmp_path):
    path = tmp_path / f"mask{suffix}"
    path.write_bytes(b"old")
    write_volume(an_anisotropic_volume(), path)
    assert np.array_equal(read_volume(path).array_kji, an_anisotropic_volume().array_kji)
    assert names_in(tmp_path) == [path.name]


def test_a_grid_with_slanted_axes_is_refused_not_straightened(tmp_path):
    matrix = np.diag([2.0, 3, 4, 1])
    matrix[0, 2] = 1.0  # each slice lies 1 mm further to the right
    with pytest.raises(OutputError, match="not at right angles"):
        write_volume(Volume(VolumeGrid(SHAPE_KJI, matrix), np.zeros(SHAPE_KJI, dtype=np.uint8)), tmp_path / "mask.nii.gz")
    assert names_in(tmp_path) == []


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from SAM2AnnotateLib.errors import OutputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import write_volume
noise = np.random.default_rng(0).integers(-10000, 10000, (40, 60, 80)).astype(np.int16)  # 384 kB, hardly compressible
volume = Volume(VolumeGrid(noise.shape, np.eye(4)), noise)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # a file may not grow beyond 100 kB: as on a full disk
for suffix in (".nii", ".nii.gz", ".nrrd", ".mha"):
    try:
        write_volume(volume, Path(sys.argv[1]) / f"mask{suffix}")
        print("written", suffix)
    except OutputError as error:
        print("OutputError", error)
"""


def test_on_a_full_disk_the_older_files_survive_and_nothing_is_left(tmp_path):
    pytest.importorskip("resource")
    for suffix in SUFFIXES:
        (tmp_path / f"mask{suffix}").write_bytes(b"old")
    lines = run_python(FILL_THE_DISK, tmp_path).splitlines()
    assert len(lines) == 4
    for line, suffix in zip(lines, SUFFIXES, strict=True):
        assert line.startswith(f"OutputError Cannot write '{tmp_path}/mask{suffix}'")
        assert "Nothing was changed" in line
    assert names_in(tmp_path) == sorted(f"mask{suffix}" for suffix in SUFFIXES)
    assert all(path.read_bytes() == b"old" for path in tmp_path.iterdir())


@every_format
def test_a_stop_in_the_middle_of_writing_leaves_the_older_file(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"mask{suffix}"
    path.write_bytes(b"old")

    def stop_half_way(writer, image):
        Path(writer.GetFileName()).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sitk.ImageFileWriter, "Execute", stop_half_way)
    with pytest.raises(KeyboardInterrupt):
        write_volume(an_anisotropic_volume(), path)
    assert names_in(tmp_path) == [path.name]
    assert path.read_bytes() == b"old"


def test_a_mask_goes_out_in_the_grid_of_the_scan_it_was_drawn_on(tmp_path):
    """A scan from another program, read, its mask written, both read by nibabel: the same affine."""
    scan = an_anisotropic_volume(oblique=True)
    nibabel.save(nibabel.Nifti1Image(scan.array_kji.T, scan.grid.ijk_to_ras), tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz")
    write_volume(Volume(volume.grid, volume.array_kji > 0), tmp_path / "mask.nii.gz")
    shutil.copy(tmp_path / "mask.nii.gz", tmp_path / "copy.nii.gz")
    seen = nibabel.load(tmp_path / "copy.nii.gz")
    assert np.abs(seen.affine - nibabel.load(tmp_path / "scan.nii.gz").affine).max() < 1e-4
    assert np.array_equal(np.asarray(seen.dataobj).T, scan.array_kji > 0)
