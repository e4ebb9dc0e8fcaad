"""Write a `Volume` as NIfTI, NRRD or MHA, whole or not at all. Imports geometry, errors and (inside functions) SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..atomic_files import replaced_atomically, require_writable_folder
from ..errors import OutputError, VolumeError
from ..geometry import Volume, VolumeGrid
from ..geometry.conventions import flip_lps_ras
from ..optional_imports import import_for
from .itk_grid import grid_of_image
from .read import read_volume
from .straight import RIGHT_ANGLE, shear_of, straightened

WRITABLE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def require_writable(path: str | Path, grid: VolumeGrid | None = None) -> None:
    """Raise OutputError unless `write_volume` can write a file of this name, in this folder, on this grid. Leaves nothing behind."""
    path = Path(path)
    if not path.name.lower().endswith(WRITABLE_SUFFIXES):
        raise OutputError(f"Cannot write '{path.name}': expected a file name that ends in {', '.join(WRITABLE_SUFFIXES)}.")
    if grid is not None and path.name.lower().endswith((".nii.gz", ".nii")) and shear_of(straightened(grid)[0]) > RIGHT_ANGLE:
        # The writer would silently straighten the axes, and the mask would lie elsewhere than it was drawn.
        raise OutputError(f"Cannot write '{path}': its voxel axes are not at right angles, which NIfTI cannot hold here. Use .nrrd.")
    require_writable_folder(path)


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write a volume, compressed, with its geometry.

    The file appears complete or not at all: it is read back and compared, voxels and geometry, before it replaces an older file.

    Raises:
        OutputError: if the name, folder or grid cannot be written, or the disk is full.
    """
    sitk = import_for("Writing volumes", "SimpleITK", "pip install SimpleITK")
    path = Path(path)
    require_writable(path, volume.grid)
    image = sitk.GetImageFromArray(_storable(volume.array_kji))
    grid = straightened(volume.grid)[0]
    index_to_lps = flip_lps_ras(grid.ijk_to_ras)
    spacing = grid.spacing_ijk_mm
    image.SetSpacing(spacing.tolist())
    image.SetDirection((index_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(index_to_lps[:3, 3].tolist())
    with replaced_atomically(path) as partial:
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(partial))
        writer.UseCompressionOn()
        try:
            writer.Execute(image)
            del image  # a copy of the voxels, which would be the third with what is read back
            # ITK reports no error when the disk fills up while it writes NIfTI: it leaves a file that is cut off.
            header = sitk.ImageFileReader()
            header.SetFileName(str(partial))
            header.ReadImageInformation()
            back = read_volume(partial).array_kji
        except (RuntimeError, VolumeError) as exc:
            reason = str(exc).strip().splitlines()[-1]
            raise OutputError(f"Cannot write '{path}': {reason} Is the disk full? Nothing was changed there.") from exc
        if back.shape != volume.array_kji.shape or not all(map(np.array_equal, back, volume.array_kji)):  # slice by slice: no copy
            raise OutputError(f"Cannot write '{path}': it reads back differently. Is the disk full? Nothing was changed there.")
        if not grid_of_image(header).is_close(grid):
            raise OutputError(f"Cannot write '{path}': the file format cannot hold this geometry. Try .nrrd. Nothing was changed there.")


def _storable(array: np.ndarray) -> np.ndarray:
    """The same numbers in a type and byte order that SimpleITK takes."""
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
