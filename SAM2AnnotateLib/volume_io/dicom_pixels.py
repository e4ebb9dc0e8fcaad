"""Stored values of DICOM frames, decoded and checked for their length. Imports errors, numpy and (inside functions) pydicom, SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..leftovers import temporary_folder
from ..optional_imports import import_for
from .dicom_files import INSTALL
from .jpeg_lossless import complaint
from .translate import bounded, reading

_LARGEST_RATIO = 10_000  # a compressed frame does not unpack to more than this many times its size
_ALWAYS_TAKEN_BYTES = 64 << 20
_JPEG_END = b"\xff\xd9"
_PADDING = b"\0\xff"  # what encoders make a frame's length even with
_FLOAT_ELEMENTS = {"FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}
_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_JPEG_FAMILY = "1.2.840.10008.1.2.4."


class StoredFrames:
    """The frames of one DICOM file, as stored, decoded one at a time.

    Args:
        path: the file, read whole once.

    Attributes:
        dataset: pydicom's.
        stray_bits: whether bits beyond Bits Stored were found in a frame; they are no part of its values.

    Raises:
        VolumeError: if there are no pixel data, too few, in color, or packed in a way that nothing here unpacks.
    """

    def __init__(self, path: Path):
        pydicom = import_for("Reading DICOM", "pydicom", INSTALL)
        self.path = path
        self.stray_bits = False
        with reading(path, "DICOM file"):
            with bounded(path) as stream:
                self.dataset = pydicom.dcmread(stream, force=True)
            self._element = next((name for name in ("PixelData", *_FLOAT_ELEMENTS) if name in self.dataset), None)
            if self._element is None:
                raise VolumeError(f"The DICOM file '{path}' holds no pixel data. It may be incomplete.")
            self.rows, self.columns = int(self.dataset.Rows), int(self.dataset.Columns)
            self.count = int(self.dataset.get("NumberOfFrames") or 1)
            self._bits = int(self.dataset.BitsAllocated)
            self._stored = int(self.dataset.get("BitsStored", self._bits)) if self._element == "PixelData" else self._bits
            self._signed = bool(self.dataset.get("PixelRepresentation", 0))
            self._syntax = self._transfer_syntax(pydicom)
            self._require_gray()
            self._data: bytes = self.dataset[self._element].value or b""
            self._packed = self._pieces(pydicom) if self._syntax.is_encapsulated else None
            if self._packed is None:
                self._require_length()

    def __iter__(self) -> Iterator[np.ndarray]:
        """(rows, columns) stored values of each frame."""
        return (self.frame(index) for index in range(self.count))

    def frame(self, index: int) -> np.ndarray:
        """(rows, columns) stored values of one frame, from 0."""
        with reading(self.path, "DICOM file"):
            if self._packed is None:
                return self._values(self._native(index))
            if self._syntax in _JPEG_LOSSLESS and (wrong := complaint(self._packed[index].rstrip(_PADDING), self.rows, self.columns)):
                raise VolumeError(f"The DICOM file '{self.path}' is damaged: {wrong}. Copy or download it again.")
            if not self._pydicom_decodes():
                return self._values(self._by_gdcm(self._packed[index]))
            pixels = import_for("Reading DICOM", "pydicom.pixels", INSTALL)
            return self._values(np.asarray(pixels.pixel_array(self.dataset, index=index, raw=True)))

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored values."""
        if self._element in _FLOAT_ELEMENTS:
            return np.dtype(_FLOAT_ELEMENTS[self._element])
        return np.dtype(f"{'i' if self._signed else 'u'}{max(self._bits, 8) // 8}")

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and largest number that the stored bits can hold; NaN for floating-point values."""
        if self._element != "PixelData":
            return float("nan"), float("nan")
        half = 1 << (self._stored - 1)
        return (float(-half), float(half - 1)) if self._signed else (0.0, float(2 * half - 1))

    def _transfer_syntax(self, pydicom):
        meta = getattr(self.dataset, "file_meta", None)
        uid = meta.get("TransferSyntaxUID") if meta is not None else None
        if uid is not None:
            if not uid.is_transfer_syntax:
                raise VolumeError(f"The DICOM file '{self.path}' states the transfer syntax {uid}, which is none: it is damaged.")
            return uid
        implicit, little = self.dataset.original_encoding
        if not little:
            return pydicom.uid.ExplicitVRBigEndian
        return pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian

    def _require_gray(self) -> None:
        samples = int(self.dataset.get("SamplesPerPixel", 1))
        kind = str(self.dataset.get("PhotometricInterpretation", "MONOCHROME2"))
        if samples != 1 or kind not in ("MONOCHROME1", "MONOCHROME2"):
            raise VolumeError(
                f"The DICOM file '{self.path}' is in color ({kind}, {samples} values per voxel). Expected one gray value per voxel."
            )
        if self._bits not in ((1, 8, 16, 32) if self._element == "PixelData" else (32, 64)) or not 1 <= self._stored <= self._bits:
            raise VolumeError(
                f"The DICOM file '{self.path}' stores {self._stored} of {self._bits} bits per voxel. Expected 8, 16 or 32 bits per voxel."
            )
        if int(self.dataset.get("HighBit", self._stored - 1)) != self._stored - 1 and self._element == "PixelData":
            raise VolumeError(
                f"The DICOM file '{self.path}' states High Bit {self.dataset.HighBit} for {self._stored} stored bits; "
                f"expected {self._stored - 1}."
            )

    def _require_length(self) -> None:
        bits = self.rows * self.columns * self.count * self._bits
        expected, found = -(-bits // 8), len(self._data)
        if found < expected:
            raise VolumeError(
                f"The DICOM file '{self.path}' is incomplete: its header says {expected} bytes of pixel data, there are {found}. "
                "Copy or download it again."
            )
        if found > expected + 1:
            raise VolumeError(
                f"The DICOM file '{self.path}' holds {found} bytes of pixel data, its header says {expected}: it is damaged, or its size, "
                "bits or number of frames is wrong."
            )

    def _pieces(self, pydicom) -> list[bytes]:
        """The compressed bytes of each frame."""
        offsets = self.dataset.get("ExtendedOffsetTable")
        extended = None if offsets is None else (offsets, self.dataset.ExtendedOffsetTableLengths)
        pieces = list(pydicom.encaps.generate_frames(self._data, number_of_frames=self.count, extended_offsets=extended))
        if len(pieces) != self.count:
            raise VolumeError(f"The DICOM file '{self.path}' states {self.count} frames and holds {len(pieces)}: it is incomplete.")
        size = self.rows * self.columns * max(self._bits, 8) // 8
        for piece in pieces:
            if self._syntax.startswith(_JPEG_FAMILY) and not piece.rstrip(_PADDING).endswith(_JPEG_END):
                raise VolumeError(f"The DICOM file '{self.path}' is incomplete: a compressed frame breaks off. Copy or download it again.")
            if size > max(_ALWAYS_TAKEN_BYTES, _LARGEST_RATIO * len(piece)):
                raise VolumeError(f"The DICOM file '{self.path}' is damaged: a frame of {len(piece)} bytes cannot hold {size}.")
        return pieces

    def _pydicom_decodes(self) -> bool:
        try:
            return bool(import_for("Reading DICOM", "pydicom.pixels", INSTALL).get_decoder(self._syntax).is_available)
        except NotImplementedError:
            return False

    def _native(self, index: int) -> np.ndarray:
        pixels = self.rows * self.columns
        if self._bits == 1:
            first = index * pixels
            packed = np.frombuffer(self._data, np.uint8)[first // 8 : -(-(first + pixels) // 8)]
            if self._syntax.is_little_endian:
                return np.unpackbits(packed, bitorder="little")[first % 8 :][:pixels].reshape(self.rows, self.columns)
            raise VolumeError(f"The DICOM file '{self.path}' packs single bits in big-endian words, which nothing here unpacks.")
        kind = self.dtype.newbyteorder("<" if self._syntax.is_little_endian else ">")
        data = self._data
        if self._bits == 8 and not self._syntax.is_little_endian and self.dataset[self._element].VR == "OW":
            data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
        return np.frombuffer(data, kind, pixels, index * pixels * kind.itemsize).reshape(self.rows, self.columns)

    def _by_gdcm(self, packed: bytes) -> np.ndarray:
        """By ITK's GDCM, which knows JPEG Lossless: from a copy of the frame that says nothing else than what decoding takes."""
        sitk = import_for("Reading compressed DICOM", "SimpleITK", "pip install SimpleITK")
        pydicom = import_for("Reading DICOM", "pydicom", INSTALL)
        alone = pydicom.Dataset()
        alone.SOPClassUID, alone.SOPInstanceUID = _SECONDARY_CAPTURE, "2.25.1"
        alone.Rows, alone.Columns, alone.SamplesPerPixel = self.rows, self.columns, 1
        alone.BitsAllocated, alone.BitsStored, alone.HighBit = self._bits, self._stored, self._stored - 1
        alone.PixelRepresentation, alone.PhotometricInterpretation = int(self._signed), "MONOCHROME2"
        alone.PixelData = pydicom.encaps.encapsulate([packed])
        alone["PixelData"].is_undefined_length = True
        alone.file_meta = pydicom.dataset.FileMetaDataset()
        alone.file_meta.TransferSyntaxUID = self._syntax
        alone.file_meta.MediaStorageSOPClassUID, alone.file_meta.MediaStorageSOPInstanceUID = _SECONDARY_CAPTURE, "2.25.1"
        with temporary_folder("frame") as folder:
            copy = Path(folder) / "frame.dcm"
            alone.save_as(copy, enforce_file_format=True)
            shown = sitk.ProcessObject.GetGlobalWarningDisplay()
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            try:
                array = sitk.GetArrayFromImage(sitk.ReadImage(str(copy)))
            except RuntimeError as exc:
                raise VolumeError(
                    f"The DICOM file '{self.path}' is compressed as {self._syntax.name}, which could not be unpacked. It may be damaged; "
                    "or save it uncompressed (dcmdjpeg, gdcmconv --raw, or the PACS) first."
                ) from exc
            finally:
                sitk.ProcessObject.SetGlobalWarningDisplay(shown)
        return array.reshape(self.rows, self.columns)

    def _values(self, array: np.ndarray) -> np.ndarray:
        """The values that the stored bits hold: what lies in other bits (once, overlays) is none of them (PS3.5 8.1.1)."""
        if array.shape != (self.rows, self.columns):
            raise VolumeError(f"The DICOM file '{self.path}' holds a frame of {array.shape}, its header says {(self.rows, self.columns)}.")
        array = array.astype(self.dtype, copy=False)
        if self._element == "PixelData" and 1 < self._stored < self._bits:
            unused = self._bits - self._stored
            values = np.right_shift(np.left_shift(array, unused), unused)
            self.stray_bits |= not np.array_equal(values, array)
            return values
        return array
