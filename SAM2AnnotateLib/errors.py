"""Every exception that the library raises on purpose.

::

    SAM2AnnotateError               one clear line for the user; the command line exits with code 2
    |-- InputError                  what was given cannot be used
    |   |-- VolumeError             file missing or corrupt, wrong dimensions, NaN voxels
    |   |-- GridMismatchError       two volumes that must share one grid do not
    |   |-- PromptError             box, point, mask or extent does not fit the volume
    |   `-- CheckpointError         unknown name, truncated, tampered or foreign weights
    |-- DownloadError               a checkpoint could not be fetched
    |-- MissingPackageError         an optional package is needed for what was asked
    |-- OutputError                 a result could not be written; nothing half-written is left
    |-- EngineError                 the model failed (out of memory, device error)
    |-- WorkerError                 the model's process died, hangs, or speaks another version
    |-- ServerError                 the server that lends its model refuses, or cannot be reached
    `-- Cancelled                   the user stopped the work; finished slices are kept

A message says what was expected, what came, and what to do. Where that is something to do in a terminal, it is given apart from the
rest, so that the panel can say what to do there instead. Imports: standard library only.
"""

from __future__ import annotations


class SAM2AnnotateError(Exception):
    """Base of all errors with a message meant for the user.

    Args:
        problem: what is wrong, and what to do if that is the same everywhere.
        remedy: what to do in a terminal or in Python: a command, an option, a package to install.

    Attributes:
        problem, remedy: the same; the message is both.
    """

    def __init__(self, problem: str = "", remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class InputError(SAM2AnnotateError):
    """Something the caller gave cannot be used."""


class VolumeError(InputError):
    """A volume cannot be read, or is not a finite 3-D scalar image.

    A message quotes what a file says, which may be damaged: whatever breaks a line or cannot be shown becomes a space.
    """

    def __init__(self, problem: str = "", remedy: str = "") -> None:
        super().__init__("".join(letter if letter.isprintable() else " " for letter in problem), remedy)


class TiltedGantryError(VolumeError):
    """The slices of a DICOM series are each shifted against the one before; they can be read shifted back, if somebody wants that."""


class GridMismatchError(InputError):
    """Two volumes that must lie on one voxel grid do not."""


class PromptError(InputError):
    """A box, point, mask or extent does not fit the volume or the other prompts."""


class CheckpointError(InputError):
    """Model weights are unknown, incomplete, altered, or of another architecture."""


class DownloadError(SAM2AnnotateError):
    """A file could not be downloaded."""


class MissingPackageError(SAM2AnnotateError):
    """An optional package is needed and not installed."""


class OutputError(SAM2AnnotateError):
    """A result could not be written. The destination is as it was before."""


class EngineError(SAM2AnnotateError):
    """The model failed while running."""


class WorkerError(SAM2AnnotateError):
    """The process that runs the model died, went silent, or does not speak this version's protocol."""


class ServerError(SAM2AnnotateError):
    """The server that lends its model cannot be reached, refuses, or speaks another version."""


class Cancelled(SAM2AnnotateError):
    """The work was stopped on request."""
