"""One intensity mapping for a whole volume, to 8 bit. Imports geometry and errors.

CT windows in HU; liver -55..155 is that of Misera et al. (study A), who also map MR from the 1st to the 99th percentile. The others
are the windows in common use in reading rooms, stated by their bounds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ..errors import InputError
from ..geometry import Volume
from .percentiles import volume_percentiles

CT_PRESETS: dict[str, tuple[float, float]] = {
    "liver": (-55.0, 155.0),
    "abdomen": (-160.0, 240.0),
    "mediastinum": (-125.0, 225.0),
    "lung": (-1350.0, 150.0),
    "bone": (-500.0, 1300.0),
    "brain": (0.0, 80.0),
}
MAPPING_NAMES = ("auto", "mr", *CT_PRESETS)


@dataclass(frozen=True)
class IntensityMapping:
    """A linear mapping of voxel values to 0..255, the same for every slice.

    Args:
        lower: value mapped to 0; everything below too.
        upper: value mapped to 255; everything above too.
        name: the preset's name, ``mr`` or ``explicit``.
        reason: why this mapping was taken, for the record and the user.
    """

    lower: float
    upper: float
    name: str
    reason: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lower) and np.isfinite(self.upper) and self.lower < self.upper):
            raise InputError(f"An intensity window needs two finite values, lower below upper; got {self.lower}, {self.upper}.")

    def to_uint8(self, values: np.ndarray) -> np.ndarray:
        """Map an array of any shape to uint8, rounded to nearest. The input is not changed."""
        with np.errstate(over="ignore"):  # what is too large for float32 is beyond the bound too
            scaled = (values.astype(np.float32) - np.float32(self.lower)) * np.float32(255.0 / (self.upper - self.lower))
        return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)

    def to_json(self) -> dict:
        """A plain dict for reports."""
        return asdict(self)


def choose_mapping(volume: Volume, window: str = "auto", object_values: np.ndarray | None = None) -> IntensityMapping:
    """The mapping that `window` asks for.

    Args:
        volume: the image.
        window: ``LO,HI``, a name in `CT_PRESETS`, ``mr`` (1st to 99th percentile of the volume), or ``auto``, which tells CT from MR by
            the DICOM modality or, without one, by the values, and says in `reason` what it saw. For CT it takes the preset ``lung`` for
            an object of air, ``bone`` for one of bone, else ``abdomen``.
        object_values: voxels in the object's box, which ``auto`` chooses the CT preset by; without them ``abdomen``.

    Raises:
        InputError: if the window is none of these, or the volume is constant where percentiles are asked for.
    """
    text = str(window).strip().lower()
    if text in CT_PRESETS:
        return IntensityMapping(*CT_PRESETS[text], name=text, reason=f"CT preset '{text}' asked for")
    if text == "mr":
        return _mr_mapping(volume, "1st to 99th percentile asked for")
    if text == "auto":
        is_ct, evidence = looks_like_ct(volume)
        if not is_ct:
            return _mr_mapping(volume, f"taken for MR: {evidence}")
        preset, seen = _ct_preset_for(object_values)
        return IntensityMapping(*CT_PRESETS[preset], name=preset, reason=f"taken for CT: {evidence}; {seen}")
    return _explicit(window)


def require_window(window: str) -> None:
    """Raise InputError unless `choose_mapping` knows this window, whatever the volume."""
    if str(window).strip().lower() not in MAPPING_NAMES:
        _explicit(window)


def _explicit(window: str) -> IntensityMapping:
    try:
        lower, upper = (float(part) for part in str(window).split(","))
    except ValueError:
        raise InputError(f"Unknown window {window!r}: expected LO,HI (two numbers) or one of {', '.join(MAPPING_NAMES)}.") from None
    return IntensityMapping(lower, upper, name="explicit", reason="bounds asked for")


def _mr_mapping(volume: Volume, reason: str) -> IntensityMapping:
    lower, upper = volume_percentiles(volume.array_kji, (1.0, 99.0))
    if lower == upper:  # More than 98 % of the voxels are background: fall back to the full range.
        lower, upper = volume_percentiles(volume.array_kji, (0.0, 100.0))
        reason += "; these are equal, so the full range"
    if lower == upper:
        raise InputError(f"All voxels have the value {lower:g}: there is nothing to see in this volume.")
    return IntensityMapping(lower, upper, name="mr", reason=reason)


def _ct_preset_for(object_values: np.ndarray | None) -> tuple[str, str]:
    """A preset in which an object with these HU is neither all black nor all white."""
    if object_values is None or object_values.size == 0:
        return "abdomen", "no box to look into"
    median = float(np.median(object_values))
    name = "lung" if median < -500 else "bone" if median > 300 else "abdomen"
    return name, f"median in the box {median:g} HU"


def looks_like_ct(volume: Volume) -> tuple[bool, str]:
    """CT by modality, or by values: HU begin far below zero, with air, but not below what scanners store."""
    if volume.modality:
        return volume.modality.upper() == "CT", f"DICOM modality {volume.modality}"
    lowest, highest = volume_percentiles(volume.array_kji, (0.0, 100.0))
    return -4096 <= lowest <= -200 and highest <= 32767, f"values {lowest:g}..{highest:g}"
