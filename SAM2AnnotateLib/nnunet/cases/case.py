"""A case before it is written: images, segments, what is known of them. Imports geometry, volume_io, review, file_names, splits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError
from ...file_names import is_reserved
from ...geometry import SliceStack, Volume, VolumeGrid
from ...json_input import is_text
from ...review import SliceStatus
from ...review.journal import JournaledObject
from ...volume_io import SliceSource
from .splits import AUTO, TEST, TRAIN

_LOCKED = (SliceStatus.ACCEPTED, SliceStatus.CORRECTED)


@dataclass(frozen=True)
class SegmentReview:
    """What a person decided about a segment's slices.

    Args:
        unreviewed: bool volume, on the grid of the image that was annotated: whole slices that are neither accepted nor corrected.
        accepted: number of slices taken as proposed.
        corrected: number of slices drawn by a person.
        waiting: number of slices of the object's extent that nobody decided about.
        about: prompts, model, gray window, effort and the like, as plain JSON.
    """

    unreviewed: Volume
    accepted: int
    corrected: int
    waiting: int
    about: dict

    @classmethod
    def of(cls, stored: JournaledObject, grid: VolumeGrid, name: str) -> SegmentReview:
        """Count a stored review, and lay its slices out on the grid of the image that was annotated.

        Raises:
            InputError: if the review was not made on such a grid.
        """
        stack, session = SliceStack.along(grid, stored.axis), stored.session
        if session.frame_shape_rc != stack.frame_shape_rc or session.extent.last >= stack.shape_src[0]:
            raise InputError(
                f"The review of '{name}' was made on slices of {session.frame_shape_rc} (rows, columns), the image has "
                f"{stack.frame_shape_rc}. Give the image that was annotated as the first one."
            )
        waiting = [position for position in session.extent.indices if session.status(position) not in _LOCKED]
        unreviewed = np.zeros(grid.shape_kji, dtype=bool)
        stack.view(unreviewed)[waiting] = True
        statuses = [session.status(position) for position in session.extent.indices]
        prompts = {str(stack.index_of(position)): prompt.to_json() for position, prompt in session.prompts.items()}
        return cls(
            Volume(grid, unreviewed),
            statuses.count(SliceStatus.ACCEPTED),
            statuses.count(SliceStatus.CORRECTED),
            len(waiting),
            {"axis": stored.axis, "prompts": prompts, **stored.about},
        )

    def to_json(self) -> dict:
        """For the provenance."""
        return {"accepted": self.accepted, "corrected": self.corrected, "unreviewed": self.waiting, **self.about}


@dataclass(frozen=True)
class SourceSegment:
    """A segment as its source has it.

    Args:
        name: as people read it.
        mask: on any grid; every nonzero voxel is inside.
        codes: terminology, ``SCHEME:VALUE`` or ``SCHEME:VALUE+SCHEME:VALUE`` with a modifier; the category's code is not among them.
        review: None where no review is kept: the segment then counts as a person's own work.
        terminology: as far as the source says it: scheme, value and meaning by part, see `seg_nrrd.terminology_of`.
    """

    name: str
    mask: Volume
    codes: tuple[str, ...] = ()
    review: SegmentReview | None = None
    terminology: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseImage:
    """One image of a case.

    Args:
        volume: the voxels.
        source: where it comes from, for provenance and messages.
        patient_id: if the source says it.
        slices: of a DICOM series, where each slice along k comes from.
    """

    volume: Volume
    source: str
    patient_id: str | None = None
    slices: tuple[SliceSource, ...] = ()


@dataclass(frozen=True)
class ExportCase:
    """A case to be written.

    Args:
        case_id: name of its files: letters, digits, ``_``, ``.``, ``-``.
        images: one for each channel of the plan, in the plan's order. The first one's grid is the case's.
        segments: in any order; those that the plan does not name are left out and listed.
        patient_id: cases of one patient never part between training and test. None: a patient of its own.
        segments_source: where the segments come from, for provenance and messages.
        segments_patient_id: if their source says it.
        provenance: who annotated, when, and what else is to be kept, as plain JSON.
        part: ``train``, ``test``, or ``auto``: with the patient's other cases; newcomers as the plan's split says.
        segments_grid: grid of the whole image that the segments were made on, if their source says it.

    Raises:
        InputError: if the id cannot name files, or image and segments name different patients.
    """

    case_id: str
    images: tuple[CaseImage, ...]
    segments: tuple[SourceSegment, ...]
    patient_id: str | None = None
    segments_source: str = ""
    segments_patient_id: str | None = None
    provenance: dict = field(default_factory=dict)
    part: str = AUTO
    segments_grid: VolumeGrid | None = None

    def __post_init__(self) -> None:
        if self.part not in (AUTO, TRAIN, TEST):
            raise InputError(f"Unknown part '{self.part}' of a data set: expected {AUTO}, {TRAIN} or {TEST}.")
        require_case_id(self.case_id)
        _require_written_texts(self)
        if not self.images:
            raise InputError(f"The case '{self.case_id}' has no image.")
        named = [(image.patient_id, f"the image '{image.source}'") for image in self.images]
        named += [(self.segments_patient_id, f"the segments '{self.segments_source}'"), (self.patient_id, "the case")]
        _require_one_patient(self.case_id, [(patient, what) for patient, what in named if patient])

    @property
    def patient(self) -> str:
        """The patient's id; the case's own where none is known."""
        known = (self.patient_id, *(image.patient_id for image in self.images), self.segments_patient_id)
        return next((patient for patient in known if patient), self.case_id)


def require_case_id(case_id: str) -> None:
    """Raise InputError unless the id can name files on every system, and in nnU-Net."""
    fits = is_text(case_id) and len(case_id) <= 120 and re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?", case_id)
    if not fits or is_reserved(case_id):
        raise InputError(
            f"{repr(case_id)[:130]} cannot be a case's id: use up to 120 letters, digits, '_', '.' and '-', beginning with a letter or "
            "digit, and none of the names that Windows keeps for devices (CON, NUL, AUX, PRN, COM1, LPT1)."
        )


def _require_written_texts(case: ExportCase) -> None:
    """Raise InputError unless ids and provenance can be written as UTF-8, ids on one line."""
    for patient in (case.patient_id, case.segments_patient_id, *(image.patient_id for image in case.images)):
        if patient is not None and (not is_text(patient) or any(ord(letter) < 32 for letter in patient)):
            raise InputError(f"{repr(patient)[:80]} cannot be a patient's id: use one line of letters that are UTF-8.")
    try:
        json.dumps([case.provenance, case.segments_source], ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:  # a UnicodeEncodeError is a ValueError
        raise InputError(f"The provenance of the case '{case.case_id}' cannot be written as JSON in UTF-8: {exc}.") from exc


def _require_one_patient(case_id: str, named: Sequence[tuple[str, str]]) -> None:
    for patient, what in named[1:]:
        if patient != named[0][0]:
            raise InputError(
                f"The case '{case_id}' mixes patients: {named[0][1]} is of '{named[0][0]}', {what} of '{patient}'. "
                "Give image and segments of one patient."
            )
