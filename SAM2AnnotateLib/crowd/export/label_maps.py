"""A label map for each volume, with a file that tells where it comes from. Imports the rest of this room, volume_io, atomic_files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ... import __version__
from ...atomic_files import write_text_atomically
from ...errors import InputError, OutputError
from ...geometry import Volume
from ...volume_io import write_volume
from .kept import KeptOutcome

_ENDING = ".nii.gz"


def write_label_maps(
    kept: KeptOutcome, folder: str | Path, overwrite: bool = False, say: Callable[[str], None] = lambda _: None
) -> list[Path]:
    """Write VOLUME.nii.gz on the image's grid, and VOLUME.json beside it, for each volume with masks.

    Values are the objects' labels. Where objects overlap, the later one of the project counts; the number of such voxels is told.

    Args:
        kept: the consensus.
        folder: made if it is missing.
        overwrite: whether files that exist are replaced.
        say: takes a line for each volume.

    Returns:
        The label maps.

    Raises:
        InputError: if a file is there and may not be replaced; nothing was written then.
        OutputError: if it cannot be written.
    """
    folder = Path(folder)
    there = [folder / f"{one.key}{_ENDING}" for one in kept.project.volumes if (folder / f"{one.key}{_ENDING}").exists()]
    if there and not overwrite:
        raise InputError(f"'{there[0]}' is there already. Choose another folder, or give --overwrite.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{folder}': {exc.strerror or exc}.") from exc
    written = []
    kind = np.uint8 if max(one.label for one in kept.project.objects) < 256 else np.int16
    for volume in kept.volumes():
        labels = np.zeros(volume.image.grid.shape_kji, dtype=kind)
        overlapping = 0
        voxels = {}
        for one in kept.project.objects:
            if one.key in volume.masks:
                mask = kept.mask_kji(volume, one.key)
                overlapping += int(np.count_nonzero(labels[mask]))
                labels[mask] = one.label
        for one in kept.project.objects:
            if one.key in volume.masks:
                voxels[one.name] = {"label": one.label, "voxels": int(np.count_nonzero(labels == one.label))}
        path = folder / f"{volume.key}{_ENDING}"
        write_volume(Volume(volume.image.grid, labels), path)
        about = {
            "sam2annotate": __version__, "volume": volume.key, "image": kept.project.volume(volume.key).path.name, "labels": voxels,
            "overlapping_voxels": overlapping, **kept.provenance(volume),
        }  # fmt: skip
        write_text_atomically(folder / f"{volume.key}.json", json.dumps(about, indent=1) + "\n")
        counted = ", ".join(f"{name} {row['voxels']:,} voxels" for name, row in voxels.items())
        say(f"{path}: {counted}" + (f"; objects overlap in {overlapping:,} voxels" if overlapping else ""))
        written.append(path)
    if not written:
        raise InputError("There is no mask to export yet.", "Run: sam2annotate crowd consensus FOLDER")
    return written
