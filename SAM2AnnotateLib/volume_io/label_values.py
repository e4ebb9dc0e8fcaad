"""Labels are whole numbers, however a file stores them. Imports errors and numpy.

Programs that resample or scale store a mask as 0.9999999975. What lies that close to a whole number is that number; what lies farther away
is a probability, and where to cut it is not ours to say.
"""

from __future__ import annotations

import numpy as np

from ..errors import VolumeError

WHOLE_WITHIN = 1e-3
_LARGEST = 1 << 31


def whole_labels(array_kji: np.ndarray, source: str) -> np.ndarray:
    """The labels as whole numbers: the array itself if its type holds no others, else rounded.

    Args:
        array_kji: (k, j, i) voxels of any real type.
        source: the file, for the message.

    Raises:
        VolumeError: if a value is farther than `WHOLE_WITHIN` from a whole number, or too large for a label.
    """
    if array_kji.dtype.kind in "bui":
        return array_kji
    rounded = np.empty(array_kji.shape, dtype=np.int64)
    for k, plane in enumerate(array_kji):  # slice by slice, so that a large volume needs few copies
        whole = np.rint(plane)
        off = (np.abs(plane - whole) > WHOLE_WITHIN) | (np.abs(whole) > _LARGEST)
        if off.any():
            value = float(plane[off][0])
            raise VolumeError(
                f"'{source}' is no label map: it holds the value {value!r}, but labels are whole and smaller than 2 billion. "
                "Threshold a probability map first."
            )
        rounded[k] = whole
    return rounded
