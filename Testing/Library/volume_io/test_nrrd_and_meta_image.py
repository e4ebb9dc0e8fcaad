"""NRRD and MetaImage: geometry as the header says, voxels as the checksum says; told or refused otherwise."""

from __future__ import annotations

import bz2
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from patients import an_anisotropic_volume

from SAM2AnnotateLib.errors import VolumeError
from SAM2AnnotateLib.volume_io import read_volume, write_volume

sitk = pytest.importorskip("SimpleITK")

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype("<i2")
PLACE = {
    "space": "left-posterior-superior",
    "space directions": "(1,0,0) (0,2,0) (0,0,3)",
    "space origin": "(10,-20,30)",
}


def nrrd(path: Path, data: bytes, encoding="raw", sizes="6 5 4", kind="short", **further) -> Path:
    fields = {"type": kind, "dimension": str(len(sizes.split())), "sizes": sizes, "encoding": encoding, "endian": "little"}
    fields |= {name.replace("_", " "): value for name, value in further.items()}
    header = "NRRD0004\n" + "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(header.encode() + b"\n" + data)
    return path


def at_place(**changed) -> dict:
    return {**{name.replace(" ", "_"): value for name, value in PLACE.items()}, **changed}


PACKERS = {
    "raw": bytes, "gzip": gzip.compress, "gz": gzip.compress, "bzip2": bz2.compress,
    "ascii": lambda data: " ".join(map(str, np.frombuffer(data, "<i2"))).encode(), "hex": lambda data: data.hex().encode(),
}  # fmt: skip


@pytest.mark.parametrize("encoding", PACKERS)
def test_every_encoding_is_read(encoding, tmp_path):
    volume = read_volume(nrrd(tmp_path / "a.nrrd", PACKERS[encoding](VOXELS.tobytes()), encoding, **at_place()))
    assert np.array_equal(volume.array_kji, VOXELS)
    assert volume.grid.ras_from_ijk([1, 1, 1]) == pytest.approx([-11, 18, 33])
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("space", "ras"),
    [
        ("left-posterior-superior", [-11, 18, 33]),
        ("LPS", [-11, 18, 33]),
        ("RAS", [11, -18, 33]),
        ("left-anterior-superior", [-11, -18, 33]),
    ],
)
def test_every_space_of_the_patient_is_read(space, ras, tmp_path):
    volume = read_volume(nrrd(tmp_path / "a.nrrd", VOXELS.tobytes(), **at_place(space=space)))
    assert volume.grid.ras_from_ijk([1, 1, 1]) == pytest.approx(ras)


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"space": None, "space_dimension": "3"}, "does not say which way its space runs"),
        ({"space_origin": None}, "states no origin; 0, 0, 0 is taken"),
        ({"space": None, "space_directions": None, "space_origin": None, "spacings": "1 2 3"}, "does not say which way its axes run"),
        ({"space": None, "space_directions": None, "space_origin": None}, "voxels of 1 x 1 x 1 mm"),
        ({"space_units": '"cm" "cm" "cm"'}, "lengths are stated in cm"),
    ],
)
def test_what_is_assumed_is_told(changed, note, tmp_path):
    volume = read_volume(nrrd(tmp_path / "a.nrrd", VOXELS.tobytes(), **at_place(**changed)))
    assert any(note in one for one in volume.notes)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"space": "3D-right-handed"}, "lies in the space '3d-right-handed', which is not the patient's"),
        ({"space_directions": "(1,0,0) (0,2,0) (0,0,0)"}, "geometry that cannot be"),
        ({"space_directions": "(1,0,0) (0,nan,0) (0,0,3)"}, "geometry that cannot be"),
        ({"space_directions": "(1,0,0) (0,2,0)"}, "states 2 space directions for 3 axes"),
        ({"space_origin": "(1,x,3)"}, "is no vector"),
        ({"endian": None}, "does not say the order of bytes"),
        ({"kind": "block"}, "states the type 'block'"),
        ({"encoding": "zip"}, "states the encoding 'zip'"),
        ({"sizes": "6 5"}, "states 3 space directions for 2 axes|2 dimensions"),
        ({"sizes": "6 5 0"}, "states the sizes"),
        ({"data_file": "LIST"}, "keeps its voxels in several files"),
        ({"data_file": "gone.raw"}, "gone.raw' with the voxels could not be read"),
        ({"sizes": "6 5 3"}, "holds more voxels than"),
        ({"sizes": "6 5 5"}, "is incomplete: its header says"),
    ],
)
def test_a_header_that_cannot_be_is_refused_for_the_true_reason(changed, complaint, tmp_path):
    arguments = at_place(**changed)
    with pytest.raises(VolumeError, match=complaint):
        read_volume(nrrd(tmp_path / "a.nrrd", VOXELS.tobytes(), **arguments))


def test_a_detached_header_with_skipped_lines_and_bytes(tmp_path):
    (tmp_path / "v.raw").write_bytes(b"one\ntwo\n" + b"1234" + VOXELS.tobytes())
    volume = read_volume(nrrd(tmp_path / "a.nhdr", b"", **at_place(data_file="v.raw", line_skip="2", byte_skip="4")))
    assert np.array_equal(volume.array_kji, VOXELS)
    (tmp_path / "v.raw").write_bytes(b"some header" + VOXELS.tobytes())
    assert np.array_equal(read_volume(nrrd(tmp_path / "a.nhdr", b"", **at_place(data_file="v.raw", byte_skip="-1"))).array_kji, VOXELS)


@pytest.mark.parametrize("first", [True, False])
def test_one_of_several_volumes_is_chosen_wherever_its_axis_stands(first, tmp_path):
    both = np.stack([VOXELS, VOXELS + 1], axis=-1 if first else 0).astype("<i2")
    directions = ["none", *PLACE["space directions"].split(" ")] if first else [*PLACE["space directions"].split(" "), "none"]
    kinds = "list domain domain domain" if first else "domain domain domain list"
    path = nrrd(
        tmp_path / "a.nrrd", both.tobytes(), sizes="2 6 5 4" if first else "6 5 4 2",
        **at_place(space_directions=" ".join(directions), kinds=kinds),
    )  # fmt: skip
    with pytest.raises(VolumeError, match="--volume 1 to 2"):
        read_volume(path)
    assert np.array_equal(read_volume(path, number=2).array_kji, VOXELS + 1)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_no_damaged_payload_of_a_compressed_file_is_read(suffix, tmp_path):
    """Of 300 damaged NRRD payloads, ITK read 106 in silence."""
    smooth = (np.add.outer(np.arange(20) * 40, np.arange(900).reshape(30, 30) // 30)).astype(np.int16)
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(smooth), str(path), True)
    whole = path.read_bytes()
    start = whole.find(b"\n\n") + 2 if suffix == ".nrrd" else whole.find(b"LOCAL\n") + 6 if suffix == ".mha" else 10
    rng = np.random.default_rng(5)
    for _ in range(100):
        data = bytearray(whole)
        at, length = int(rng.integers(start + 10, len(whole))), int(rng.choice([1, 4, 64]))
        data[at : at + length] = bytes(length) if rng.random() < 0.5 else rng.bytes(length)
        data = data[: len(whole)]
        if data == whole:
            continue
        path.write_bytes(data)
        try:
            assert np.array_equal(read_volume(path).array_kji, smooth)  # what is read is what was written
        except VolumeError as exc:
            assert "damaged" in str(exc) or "incomplete" in str(exc)


# --- MetaImage


def mha(path: Path, data: bytes, local: str = "LOCAL", **changed) -> Path:
    fields = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False", "CompressedData": "False",
        "TransformMatrix": "0 1 0 -1 0 0 0 0 1", "Offset": "10 -20 30", "ElementSpacing": "1 2 3", "DimSize": "6 5 4",
        "ElementType": "MET_SHORT", **changed, "ElementDataFile": local,
    }  # fmt: skip
    path.write_bytes("".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None).encode() + data)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("big", [False, True])
def test_a_meta_image_is_read_as_it_says_and_as_itk_reads_it(packed, big, tmp_path):
    data = VOXELS.astype(">i2" if big else "<i2").tobytes()
    path = mha(tmp_path / "a.mha", zlib.compress(data) if packed else data, CompressedData=str(packed), BinaryDataByteOrderMSB=str(big))
    volume = read_volume(path)
    assert np.array_equal(volume.array_kji, VOXELS)
    image = sitk.ReadImage(str(path))
    lps = image.TransformIndexToPhysicalPoint((3, 2, 1))
    assert volume.grid.ras_from_ijk([3, 2, 1]) == pytest.approx(np.array(lps) * [-1, -1, 1])


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"ElementSpacing": "1 0 3"}, "voxels of 1 x 0 x 3 mm"),
        ({"ElementSpacing": "1 nan 3"}, "states '1 nan 3'"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "directions of lengths"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "geometry that cannot be"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "directions of lengths"),
        ({"DimSize": "6 5 5"}, "is incomplete"),
        ({"DimSize": "6 5 3"}, "holds more voxels than"),
        ({"DimSize": "6 5"}, "states '6 5' as dimsize"),
        ({"ElementType": "MET_OTHER"}, "states the type 'MET_OTHER'"),
        ({"BinaryData": "False"}, "voxels as text"),
        ({"ElementNumberOfChannels": "3"}, "3 values per voxel"),
        ({"local": "gone.raw"}, "gone.raw' could not be read"),
        ({"local": "slice%03d.raw 1 4 1"}, "several files by number"),
        ({"local": "LIST"}, "names 0 files for 4 slices|is incomplete"),
        ({"CompressedData": "True"}, "damaged or incomplete"),
    ],
)
def test_a_meta_header_that_cannot_be_is_refused_for_the_true_reason(changed, complaint, tmp_path):
    with pytest.raises(VolumeError, match=complaint):
        read_volume(mha(tmp_path / "a.mha", VOXELS.tobytes() if "local" not in changed else b"", **changed))


def test_slices_in_files_of_their_own_are_read(tmp_path):
    for k, plane in enumerate(VOXELS):
        (tmp_path / f"s{k}.raw").write_bytes(plane.tobytes())
    path = mha(tmp_path / "a.mhd", b"\n".join(b"s%d.raw" % k for k in range(4)) + b"\n", local="LIST")
    assert np.array_equal(read_volume(path).array_kji, VOXELS)


def test_a_compressed_data_file_beside_its_header_is_checked_too(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(an_anisotropic_volume().array_kji), str(tmp_path / "a.mhd"), True)
    assert np.array_equal(read_volume(tmp_path / "a.mhd").array_kji, an_anisotropic_volume().array_kji)
    data = bytearray((tmp_path / "a.zraw").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a.zraw").write_bytes(data)
    with pytest.raises(VolumeError, match="damaged"):
        read_volume(tmp_path / "a.mhd")


def test_a_missing_voxel_size_is_told(tmp_path):
    assert read_volume(mha(tmp_path / "a.mha", VOXELS.tobytes(), ElementSpacing=None)).notes == (
        "it states no voxel size; 1 x 1 x 1 mm is taken",
    )
    write_volume(an_anisotropic_volume(), tmp_path / "b.mha")
    assert read_volume(tmp_path / "b.mha").notes == ()
