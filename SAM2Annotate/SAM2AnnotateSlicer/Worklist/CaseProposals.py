"""CaseProposals: what was proposed for the cases of a folder, each in a file beside its volume, until a person saves that case. No Qt.

A proposal is never a segmentation: ``CASE.seg.nrrd`` is made when a person saves. Its file tells what was found, with a doubt, or that
nothing was, and by what it was looked for; one that was looked for otherwise is out of date. It is written whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.atomic_files import write_text_atomically
from SAM2AnnotateLib.errors import InputError, PromptError
from SAM2AnnotateLib.geometry import SliceStack, VolumeGrid
from SAM2AnnotateLib.json_input import Fields, read_json
from SAM2AnnotateLib.review import ReviewSession

from .WorklistFolder import WorklistCase, WorklistFolder

SUFFIX = ".sam2annotate-proposal.json"
# Stamps of what a crowd of people made (``sam2annotate crowd export --proposals``); no search replaces it.
_OF_PEOPLE = "crowd:"
_FORMAT = 1
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, eq=False)
class CaseProposal:
    """What was found in a case.

    Args:
        name: of the object.
        found: whether it was found.
        doubt: mean over its slices, 0..1; 0 if it was not found.
        reason: why it was not found; "" if it was.
        stamp: of the search, see `Search.stamp`.
    """

    name: str
    found: bool
    doubt: float
    reason: str
    stamp: str

    @property
    def isOfPeople(self) -> bool:
        """Whether a crowd of people made it, so that no search replaces it."""
        return self.stamp.startswith(_OF_PEOPLE)


_known: dict[Path, tuple[tuple[int, int], CaseProposal]] = {}
_listed: dict[Path, tuple[int, frozenset[str]]] = {}


def pathOf(case: WorklistCase) -> Path:
    """The proposal's file, beside the volume; it need not exist."""
    return case.path.with_name(case.name + SUFFIX)


def write(case: WorklistCase, proposal: CaseProposal, grid: VolumeGrid, axis: str = "", session: ReviewSession | None = None, about=None):
    """Write what was found.

    Args:
        case: where.
        proposal: what.
        grid: of the volume.
        axis, session, about: the object, if it was found, see `AnnotationLogic.addObject`.

    Raises:
        OutputError: if it cannot be written.
    """
    content = {"format": _FORMAT, **vars(proposal), "shape_kji": list(grid.shape_kji), "ijk_to_ras": grid.ijk_to_ras.tolist()}
    if session is not None:
        content |= {"axis": axis, "session": session.to_json(), "about": about or {}}
    write_text_atomically(pathOf(case), json.dumps(content) + "\n")


def find(case: WorklistCase) -> CaseProposal | None:
    """What was found in a case; None if nobody looked, or the file cannot be used. Read once as long as the file is the same."""
    path = pathOf(case)
    try:
        status = path.stat()
    except OSError:
        return None
    stamp = (status.st_mtime_ns, status.st_size)
    if path not in _known or _known[path][0] != stamp:
        try:
            fields = _read(path)
            values = fields.text("name"), fields.flag("found"), fields.number("doubt"), fields.text("reason"), fields.text("stamp")
        except InputError:  # to propose writes it anew
            return None
        _known[path] = (stamp, CaseProposal(*values))
    return _known[path][1]


def load(case: WorklistCase, grid: VolumeGrid) -> list[tuple[str, str, ReviewSession, dict]]:
    """The objects that were found: name, axis, review, and what else is kept of each; none if none was.

    Args:
        case: where.
        grid: of its volume as it was opened.

    Raises:
        InputError: if the file is damaged, or belongs to another volume.
    """
    path = pathOf(case)
    if not path.is_file():
        return []
    fields = _read(path)
    if not fields.flag("found"):
        return []
    shape, matrix = fields.items("shape_kji"), fields.items("ijk_to_ras")
    try:
        isOfVolume = tuple(shape) == tuple(grid.shape_kji) and np.allclose(np.array(matrix, dtype=float), grid.ijk_to_ras, atol=1e-3)
    except (TypeError, ValueError) as exc:
        raise InputError(f"The proposal '{path}' is damaged. Remove it, and propose again.") from exc
    if not isOfVolume:
        raise InputError(f"The proposal '{path}' was made on another volume than '{case.path.name}' is now. Remove it, and propose again.")
    return [_objectOf(one, grid, path) for one in (fields, *fields.objects("more", []))]


def _objectOf(fields: Fields, grid: VolumeGrid, path: Path) -> tuple[str, str, ReviewSession, dict]:
    axis, about = fields.text("axis"), fields.object("about").values
    if axis not in ("i", "j", "k"):
        raise InputError(f"The proposal '{path}' is damaged. Remove it, and propose again.")
    try:
        session = ReviewSession.from_json(fields.object("session").values)
        stack = SliceStack.along(grid, axis)
        isFitting = session.frame_shape_rc == stack.frame_shape_rc and session.extent.last < stack.shape_src[0]
    except PromptError as exc:
        raise InputError(f"The proposal '{path}' is damaged: {exc} Remove it, and propose again.") from exc
    if not isFitting or not isinstance(about.get("center"), int) or about["center"] not in session.extent:
        raise InputError(f"The proposal '{path}' is damaged. Remove it, and propose again.")
    return fields.text("name"), axis, session, about


def remove(case: WorklistCase) -> None:
    """The person has saved the case: what was proposed has served."""
    pathOf(case).unlink(missing_ok=True)


def nextCase(folder: WorklistFolder, after: str | None) -> WorklistCase | None:
    """The case to go on with: that whose proposal is most in doubt, as a person's time does most there.

    Then come the cases that nobody has looked into, beginning behind `after`, in the folder's order, and last those where nothing was
    found. None if all others are reviewed.

    Args:
        folder: of the cases.
        after: name of the case that is open; it is not given.
    """
    byName = {case.name: case for case in folder.cases()}
    looked = {name: found for name in _proposedIn(folder.path) & byName.keys() if (found := find(byName[name])) is not None}
    waiting = folder.waiting(after)
    if not looked:
        return next(waiting, None)
    cases = list(waiting)
    ranks = {case.name: _rank(looked.get(case.name), case) for case in cases}
    return min(cases, key=lambda case: ranks[case.name], default=None)


def _rank(proposal: CaseProposal | None, case: WorklistCase) -> tuple[int, float]:
    if proposal is None or case.segmentation.is_file():
        return 1, 0.0
    return (0, -proposal.doubt) if proposal.found else (2, 0.0)


def _proposedIn(folder: Path) -> frozenset[str]:
    """Names of the cases of a folder that have a proposal's file; looked up again when the folder has changed."""
    changed = folder.stat().st_mtime_ns
    if folder not in _listed or _listed[folder][0] != changed:
        names = frozenset(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
        _listed[folder] = (changed, names)
    return _listed[folder][1]


def _read(path: Path) -> Fields:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"The proposal '{path}' is larger than any is. Remove it, and propose again.")
    except OSError as exc:
        raise InputError(f"The proposal '{path}' cannot be read: {exc.strerror}.") from exc
    what = f"the proposal '{path}'"
    fields = Fields(read_json(path, what), what)
    fields.whole("format", _FORMAT, _FORMAT)
    return fields
