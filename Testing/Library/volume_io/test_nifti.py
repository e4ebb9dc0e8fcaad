"""NIfTI: one rule says which geometry counts; sound files are read, damaged ones refused for the true reason."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from patients import an_oblique_rotation

from SAM2AnnotateLib.errors import OutputError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import read_volume, write_volume
from SAM2AnnotateLib.volume_io.write import require_writable

nibabel = pytest.importorskip("nibabel")

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (10, 12, 8)).astype(np.int16)  # i, j, k
STRAIGHT = np.diag([1, 1.5, 3, 1.0])
STRAIGHT[:3, 3] = [-10, -20, 30]


def moved(matrix: np.ndarray, by: np.ndarray) -> np.ndarray:
    return by @ matrix


def a_file(path: Path, sform=None, sform_code=1, qform=None, qform_code=1, version=1, **header) -> Path:
    image = (nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image)(VOXELS, None)
    image.set_qform(qform, qform_code if qform is not None else 0)
    image.set_sform(sform, sform_code if sform is not None else 0)
    if qform is None and sform is not None:
        image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    for field, value in header.items():
        image.header[field] = value
    nibabel.save(image, path)
    return path


def rotated() -> np.ndarray:
    turned = np.eye(4)
    turned[:3, :3] = an_oblique_rotation()[:3, :3]
    return turned @ STRAIGHT


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("forms", ["sform", "qform", "both"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_form_alone_counts_and_two_that_agree_are_one(version, forms, mirrored, tmp_path):
    matrix = rotated() @ np.diag([-1 if mirrored else 1, 1, 1, 1])
    path = a_file(
        tmp_path / "a.nii.gz", sform=matrix if forms != "qform" else None, qform=matrix if forms != "sform" else None, version=version
    )
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.ijk_to_ras, nibabel.load(path).affine, atol=1e-4)
    assert np.array_equal(volume.array_kji.T, VOXELS)
    assert volume.notes == ()


SHEARED = STRAIGHT.copy()
SHEARED[1, 2] = 0.6
SHIFTED = STRAIGHT.copy()
SHIFTED[0, 3] += 1


@pytest.mark.parametrize("sform", [SHEARED, STRAIGHT @ np.diag([2, 2, 2, 1]), rotated(), SHIFTED, STRAIGHT @ np.diag([-1, 1, 1, 1])])
@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (1, 2), (4, 1)])
def test_two_forms_that_differ_are_refused_with_how_far(sform, codes, tmp_path):
    path = a_file(tmp_path / "a.nii", sform=sform, sform_code=codes[0], qform=STRAIGHT, qform_code=codes[1])
    with pytest.raises(VolumeError, match="says two places: its sform and its qform lie up to .* mm apart.*Make them agree first"):
        read_volume(path)


def test_two_forms_that_nearly_agree_are_read_by_the_sform_and_that_is_told(tmp_path):
    near = STRAIGHT.copy()
    near[0, 3] += 0.2
    volume = read_volume(a_file(tmp_path / "a.nii", sform=near, qform=STRAIGHT))
    np.testing.assert_allclose(volume.grid.ijk_to_ras, near, atol=1e-5)
    assert volume.notes == ("its sform and its qform lie up to 0.2 mm apart; the sform is taken",)


def test_no_form_at_all_leaves_left_and_right_unknown(tmp_path):
    with pytest.raises(VolumeError, match="neither a qform nor an sform, so it is not known where left and right are"):
        read_volume(a_file(tmp_path / "a.nii"))


def test_a_shear_by_rounding_is_straightened_and_told_a_real_one_kept(tmp_path):
    rounded = rotated()
    rounded[:3, :3] = np.round(rounded[:3, :3], 4)
    volume = read_volume(a_file(tmp_path / "rounded.nii.gz", sform=rounded))
    corners = np.array([[i, j, k] for i in (0, 9) for j in (0, 11) for k in (0, 7)])
    assert np.abs(volume.grid.ras_from_ijk(corners) - (corners @ rounded[:3, :3].T + rounded[:3, 3])).max() < 0.01
    for name in ("m.nii.gz", "m.nii", "m.nrrd", "m.mha"):  # what is read can be written
        write_volume(Volume(volume.grid, volume.array_kji), tmp_path / name)
        assert read_volume(tmp_path / name).grid.is_close(volume.grid)
    sheared = read_volume(a_file(tmp_path / "sheared.nii.gz", sform=SHEARED))
    np.testing.assert_allclose(sheared.grid.ijk_to_ras, SHEARED, atol=1e-6)
    with pytest.raises(OutputError, match="not at right angles.*Use .nrrd"):  # before anything is computed
        require_writable(tmp_path / "m.nii.gz", sheared.grid)
    write_volume(Volume(sheared.grid, sheared.array_kji), tmp_path / "m.nrrd")
    assert read_volume(tmp_path / "m.nrrd").grid.is_close(sheared.grid)


@pytest.mark.parametrize("decimals", [3, 4, 5])
def test_forty_rounded_orientations_can_all_be_written(decimals, tmp_path):
    rng = np.random.default_rng(decimals)
    for _ in range(40):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        matrix = np.eye(4)
        matrix[:3, :3] = np.round(turn * rng.uniform(0.5, 3, 3), decimals)
        matrix[:3, 3] = np.round(rng.uniform(-200, 200, 3), decimals)
        volume = read_volume(a_file(tmp_path / "a.nii", sform=matrix))
        require_writable(tmp_path / "m.nii.gz", volume.grid)
        corners = np.array([[i, j, k] for i in (0, 9) for j in (0, 11) for k in (0, 7)])
        assert np.abs(volume.grid.ras_from_ijk(corners) - (corners @ matrix[:3, :3].T + matrix[:3, 3])).max() < 0.1


def test_voxel_sizes_that_contradict_the_only_form_are_told(tmp_path):
    path = a_file(tmp_path / "a.nii", sform=STRAIGHT, pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.spacing_ijk_mm, [1, 1.5, 3], atol=1e-6)
    assert "its sform states voxels of 1 x 1.5 x 3 mm, which are taken; its header 1 x 1 x 1 mm" in volume.notes[0]


@pytest.mark.parametrize(("code", "scale"), [(1, 1000), (2, 1), (3, 0.001), (0, 1), (2 + 8, 1)])
def test_units_of_length_are_converted_and_told(code, scale, tmp_path):
    volume = read_volume(a_file(tmp_path / "a.nii", sform=STRAIGHT, qform=STRAIGHT, xyzt_units=code))
    np.testing.assert_allclose(volume.grid.ijk_to_ras[:3], STRAIGHT[:3] * scale, rtol=1e-5)
    assert bool(volume.notes) == (scale != 1)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"srow_x": [np.nan, 0, 0, 0]}, "geometry that cannot be"),
        ({"srow_x": [0, 0, 0, 0]}, "geometry that cannot be: .*singular"),
        ({"sform_code": 0, "quatern_b": 2}, "quaternion of length 2, which is no rotation"),
        ({"sform_code": 0, "pixdim": [1, -1, 1, 1, 1, 1, 1, 1]}, "geometry that cannot be: voxel sizes"),
        ({"sform_code": 0, "pixdim": [1, 0, 1, 1, 1, 1, 1, 1]}, "geometry that cannot be: voxel sizes"),
        ({"bitpix": 8}, "states 8 bits per voxel for a type of 16"),
        ({"datatype": 1536}, "data type 1536"),
        ({"xyzt_units": 5}, "unit of length 5"),
        ({"magic": b"ni1"}, "is the header of a NIfTI pair"),
        ({"magic": b"abc"}, "not marked as NIfTI"),
    ],
)
def test_a_header_that_cannot_be_is_refused_for_the_true_reason(fields, complaint, tmp_path):
    path = a_file(tmp_path / "a.nii", sform=STRAIGHT, qform=STRAIGHT)
    header = nibabel.Nifti1Header(path.read_bytes()[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    with pytest.raises(VolumeError, match=complaint):
        read_volume(path)


def test_a_qform_that_cannot_be_beside_a_sound_sform_is_told(tmp_path):
    path = a_file(tmp_path / "a.nii", sform=STRAIGHT, qform=STRAIGHT)
    header = nibabel.Nifti1Header(path.read_bytes()[:348], check=False)
    header["quatern_b"] = 2
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    assert "the qform cannot be" in read_volume(path).notes[-1]


def test_packed_and_unpacked_are_told_by_content_not_by_name(tmp_path):
    path = a_file(tmp_path / "a.nii.gz", sform=STRAIGHT)
    (tmp_path / "packed.nii").write_bytes(path.read_bytes())
    (tmp_path / "plain.nii.gz").write_bytes(gzip.decompress(path.read_bytes()))
    for name in ("packed.nii", "plain.nii.gz"):
        assert np.array_equal(read_volume(tmp_path / name).array_kji.T, VOXELS)


def test_one_of_several_time_points_can_be_chosen(tmp_path):
    several = np.stack([VOXELS, VOXELS + 1, VOXELS + 2], axis=-1)
    nibabel.save(nibabel.Nifti1Image(several, STRAIGHT), tmp_path / "a.nii.gz")
    with pytest.raises(VolumeError, match=r"has 4 dimensions \(10, 12, 8, 3\).*--volume 1 to 3"):
        read_volume(tmp_path / "a.nii.gz")
    for number in (1, 2, 3):
        assert np.array_equal(read_volume(tmp_path / "a.nii.gz", number=number).array_kji.T, VOXELS + number - 1)
    with pytest.raises(VolumeError, match="There is no volume 4"):
        read_volume(tmp_path / "a.nii.gz", number=4)


@pytest.mark.parametrize(("slope", "intercept", "kind"), [(2, -1024, "int16"), (1000, 0, "int32"), (0.5, 0.25, "float32"), (0, 7, "int16")])
def test_values_are_rescaled_as_stated(slope, intercept, kind, tmp_path):
    path = a_file(tmp_path / "a.nii", sform=STRAIGHT)
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", slope, intercept)
    path.write_bytes(data)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array_kji.T, VOXELS.astype(int) * slope + intercept if slope else VOXELS)
    assert volume.array_kji.dtype == kind


def test_more_voxels_than_the_header_says_are_noticed(tmp_path):
    path = a_file(tmp_path / "a.nii.gz", sform=STRAIGHT)
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[46:48] = struct.pack("<h", 7)  # one slice less
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(VolumeError, match="holds more voxels than"):
        read_volume(path)


def test_sizes_that_no_file_can_hold_are_refused_at_once(tmp_path):
    path = a_file(tmp_path / "a.nii.gz", sform=STRAIGHT)
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[42:48] = struct.pack("<3h", 32767, 32767, 32767)
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(VolumeError, match="is incomplete"):
        read_volume(path)


def test_an_oblique_grid_from_elsewhere_with_tiny_shear_is_written(tmp_path):
    matrix = rotated()
    matrix[0, 1] += 3e-6
    write_volume(Volume(VolumeGrid(VOXELS.shape[::-1], matrix), VOXELS.T), tmp_path / "a.nii.gz")
    np.testing.assert_allclose(nibabel.load(tmp_path / "a.nii.gz").affine, matrix, atol=1e-4)
