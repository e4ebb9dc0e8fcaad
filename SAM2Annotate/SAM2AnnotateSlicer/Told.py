"""Told: what the panel says of an error. Imports the library's errors; no Qt.

The library's errors give what is to be done in a terminal apart from the problem. Whoever sits before the panel has buttons instead.
"""

from __future__ import annotations

from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import (
    CheckpointError,
    EngineError,
    MissingPackageError,
    OutputError,
    SAM2AnnotateError,
    ServerError,
    TiltedGantryError,
    VolumeError,
)


def told(error: SAM2AnnotateError, remedy: str | None = None) -> str:
    """The text for the user.

    Args:
        remedy: what to do in place of the library's remedy, if the error has one; by default what the panel offers against its kind.
    """
    if not error.remedy or isinstance(error, ServerError):  # what helps against a server is the same everywhere
        return str(error)
    if remedy is None:
        remedy = next((text for kind, text in _remedies() if isinstance(error, kind)), "")
    return f"{error.problem} {remedy}".strip()


def _remedies() -> tuple[tuple[type[SAM2AnnotateError], str], ...]:
    return (
        (MissingPackageError, _("Press 'Set-up...', then 'Install what is missing'.")),
        (CheckpointError, _("Press 'Set-up...' and download it there, or choose another model.")),
        (
            TiltedGantryError,
            _(
                "In the worklist, tick 'Shift back slices of a tilted gantry'; or load it in Slicer with its acquisition "
                "geometry regularized (Application Settings, DICOM), and harden the transform."
            ),
        ),
        (VolumeError, _("Load it in Slicer ('Add Data' or 'DICOM'), choose one volume there, and save that one by itself.")),
        (OutputError, _("Press 'Verify' in 'Export to nnU-Net' when the folder can be written to.")),
        (EngineError, _("Close other programs, or choose a smaller model.")),
    )
