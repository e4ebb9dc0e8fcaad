"""Write a `Volume` as NIfTI, NRRD or MHA, whole or not at all. Imports geometry, errors and (inside functions) SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..atomic_files import replaced_atomically
from ..errors import OutputError
from ..geometry import Volume
from ..geometry.conventions import flip_lps_ras
from ..optional_imports import import_for

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

    The file appears complete or not at all; an older file of that name is replaced only at the end.

    Raises:
        OutputError: if the name or folder cannot be written, or the disk is full.
    """
    sitk = import_for("Writing volumes", "SimpleITK", "pip install SimpleITK")
    path = Path(path)
    require_writable_name(path)
    array = volume.array_kji
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else np.ascontiguousarray(array))
    index_to_lps = flip_lps_ras(volume.grid.ijk_to_ras)
    spacing = volume.grid.spacing_ijk_mm
    image.SetSpacing(spacing.tolist())
    image.SetDirection((index_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(index_to_lps[:3, 3].tolist())
    with replaced_atomically(path) as partial:
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(partial))
        writer.UseCompressionOn()
        try:
            writer.Execute(image)
        except RuntimeError as exc:
            raise OutputError(f"Cannot write '{path}': {str(exc).strip().splitlines()[-1]}") from exc
