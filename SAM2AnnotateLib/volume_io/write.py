"""Write a `Volume` as NIfTI, NRRD or MHA, whole or not at all. Imports geometry, errors and (inside functions) SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..atomic_files import replaced_atomically
from ..errors import OutputError
from ..geometry import Volume
from ..geometry.conventions import flip_lps_ras
from ..optional_imports import import_for

# Cosine between voxel axes that should be at right angles; files that store 32-bit floats are off by about 1e-6.
_LARGEST_SHEAR = 1e-4
WRITABLE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def require_writable_name(path: str | Path) -> None:
    """Raise OutputError unless `write_volume` can write a file of this name in a folder that exists."""
    path = Path(path)
    if not path.name.lower().endswith(WRITABLE_SUFFIXES):
        raise OutputError(f"Cannot write '{path.name}': expected a file name that ends in {', '.join(WRITABLE_SUFFIXES)}.")
    if not path.parent.is_dir():
        raise OutputError(f"Cannot write '{path}': the folder '{path.parent}' does not exist. Create it first.")


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write a volume, compressed, with its geometry.

    The file appears complete or not at all: it is read back and compared before it replaces an older file of that name.

    Raises:
        OutputError: if the name or folder cannot be written, or the disk is full.
    """
    sitk = import_for("Writing volumes", "SimpleITK", "pip install SimpleITK")
    path = Path(path)
    require_writable_name(path)
    image = sitk.GetImageFromArray(_storable(volume.array_kji))
    index_to_lps = flip_lps_ras(volume.grid.ijk_to_ras)
    spacing = volume.grid.spacing_ijk_mm
    direction = index_to_lps[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > _LARGEST_SHEAR:
        # The writers would silently straighten the axes, and the mask would lie elsewhere than it was drawn.
        raise OutputError(f"Cannot write '{path}': its voxel axes are not at right angles (sheared), which these formats cannot hold.")
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(index_to_lps[:3, 3].tolist())
    with replaced_atomically(path) as partial:
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(partial))
        writer.UseCompressionOn()
        try:
            writer.Execute(image)
            # ITK reports no error when the disk fills up while it writes NIfTI: it leaves a file that is cut off.
            complete = np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(partial))), sitk.GetArrayFromImage(image))
        except RuntimeError as exc:
            reason = str(exc).strip().splitlines()[-1]
            raise OutputError(f"Cannot write '{path}': {reason} Is the disk full? Nothing was changed there.") from exc
        if not complete:
            raise OutputError(
                f"Cannot write '{path}': what was written reads back differently. Is the disk full? Nothing was changed there."
            )


def _storable(array: np.ndarray) -> np.ndarray:
    """The same numbers in a type and byte order that SimpleITK takes."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
