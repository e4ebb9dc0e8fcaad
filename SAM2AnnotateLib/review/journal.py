"""The journal: the state of a review on disk after every decision, for after a crash. Imports review.session, geometry, atomic_files.

One small JSON file beside the user's work, replaced whole each time. It names the volume it belongs to by its grid and a hash of its
voxels, so that it is never offered for another one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from ..atomic_files import write_text_atomically
from ..errors import GridMismatchError, InputError
from ..geometry import Volume
from .session import ReviewSession

_FORMAT = "sam2annotate-journal-1"
_SAMPLED_SLICES = 16


def volume_identity(volume: Volume) -> dict:
    """What tells one volume from another: grid, type, and a hash of up to 16 evenly spread slices, so that the cost stays small."""
    array = volume.array_kji
    digest = hashlib.sha256()
    for k in np.unique(np.linspace(0, array.shape[0] - 1, min(_SAMPLED_SLICES, array.shape[0])).astype(int)):
        digest.update(np.ascontiguousarray(array[k]).tobytes())
    matrix = np.round(volume.grid.ijk_to_ras, 4).tolist()
    return {"shape_kji": list(array.shape), "ijk_to_ras": matrix, "dtype": str(array.dtype), "sha256_of_slices": digest.hexdigest()}


def write_journal(path: str | Path, volume: Volume, axis: str, sessions: dict[str, ReviewSession]) -> None:
    """Write the state of all objects on a volume.

    Args:
        path: the journal's file.
        axis: that the volume is sliced along.
        sessions: by the object's name or id.

    Raises:
        OutputError: if it cannot be written; the last journal stands.
    """
    objects = {name: session.to_json() for name, session in sessions.items()}
    content = {"format": _FORMAT, "volume": volume_identity(volume), "axis": axis, "objects": objects}
    write_text_atomically(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_journal(path: str | Path, volume: Volume) -> tuple[str, dict[str, ReviewSession]]:
    """Read a journal back for `volume`; returns the axis and the sessions by name.

    Raises:
        InputError: if it cannot be read or is no journal.
        GridMismatchError: if it belongs to another volume.
        PromptError: if a session in it is damaged.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InputError(f"The journal '{path}' cannot be read: {exc}.") from exc
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"'{path}' is no journal of this version of SAM2Annotate.")
    if content["volume"] != volume_identity(volume):
        raise GridMismatchError(f"The journal '{path}' belongs to another volume, so it is not taken. Open the volume that it was made on.")
    return content["axis"], {name: ReviewSession.from_json(stored) for name, stored in content["objects"].items()}
