"""The slices as people see them: the very gray that the model gets, upright, as PNG. Imports project; Pillow inside functions."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict

import numpy as np

from ...errors import InputError, VolumeError
from ...geometry import SliceStack
from ...intensity import IntensityMapping
from ...optional_imports import import_for
from .project import CrowdProject

_KEPT_BYTES = 64 << 20


class ProjectPictures:
    """All slices of a project.

    Args:
        project: its volumes are prepared.
    """

    def __init__(self, project: CrowdProject):
        self.project = project
        self._stacks: dict[str, np.ndarray] = {}
        self._pngs: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def stack(self, volume: str) -> SliceStack:
        """How a volume is sliced. Raises InputError if the project has none of this key."""
        return self.project.volume(volume).stack

    def mapping(self, volume: str) -> IntensityMapping:
        """From a volume's values to gray. Raises InputError if the project has none of this key."""
        return self.project.volume(volume).mapping

    def slice_count(self, volume: str) -> int:
        """Number of slices of a volume."""
        return self.stack(volume).shape_src[0]

    def shape_rc(self, volume: str) -> tuple[int, int]:
        """(rows, columns) of every slice of a volume."""
        return self.stack(volume).frame_shape_rc

    def spacing_rc_mm(self, volume: str) -> tuple[float, float]:
        """(row, column) spacing of a volume in mm."""
        return self.stack(volume).frame_spacing_rc_mm

    def gray(self, volume: str, position: int) -> np.ndarray:
        """One slice: (rows, columns) uint8, read-only.

        Raises:
            InputError: if there is no such volume or slice.
            VolumeError: if the prepared file is gone or damaged.
        """
        count = self.slice_count(volume)
        if not 0 <= position < count:
            raise InputError(f"Volume '{volume}' has the positions 0..{count - 1}, not {position}.")
        return self._stack_of(volume)[position]

    def png(self, volume: str, position: int) -> bytes:
        """One slice as an 8-bit gray PNG. Raises as `gray`."""
        key = (volume, position)
        with self._lock:
            if key in self._pngs:
                self._pngs.move_to_end(key)
                return self._pngs[key]
        image_module = import_for("Showing slices", "PIL.Image", "pip install Pillow")
        stream = io.BytesIO()
        image_module.fromarray(np.ascontiguousarray(self.gray(volume, position))).save(stream, "PNG", compress_level=4)
        content = stream.getvalue()
        with self._lock:
            if key not in self._pngs:
                self._pngs[key] = content
                self._kept_bytes += len(content)
            while self._kept_bytes > _KEPT_BYTES and len(self._pngs) > 1:
                self._kept_bytes -= len(self._pngs.popitem(last=False)[1])
        return content

    def _stack_of(self, volume: str) -> np.ndarray:
        with self._lock:
            if volume not in self._stacks:
                file = self.project.volume(volume).gray_file
                try:
                    self._stacks[volume] = np.load(file, mmap_mode="r", allow_pickle=False)
                except (OSError, ValueError) as exc:
                    raise VolumeError(f"The prepared volume '{file.name}' cannot be read: {exc}. Remove it and start again.") from exc
            return self._stacks[volume]
