"""CaseLearning: an object is learned from the reviewed cases of the worklist, in the background. Knows no widget.

A process of its own reads the volumes one after another, then the model learns when nobody asks it for anything else. Cases that came since
it was learned last are the newest ones: they come last, and learning goes on from what was learned before, which has not seen them. Where
that is gone, damaged, of another model, or of a case that is no longer reviewed, it is learned anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.engine.adapter import Adapter
from SAM2AnnotateLib.errors import Cancelled, CheckpointError, EngineError, InputError, PromptError, SAM2AnnotateError, WorkerError
from SAM2AnnotateLib.geometry import Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.leftovers import temporary_folder
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.worker.messages import Learned, Message, unpack

from ..Event import Event
from ..Learning.Learner import codeOf
from ..Model.CommandProcess import CommandProcess
from ..Model.LearnedModels import LearnedModel
from ..Model.ModelService import OpenedVolume, Request
from ..Review.Logic import AnnotationLogic
from ..Told import told
from . import LearnedOfCases
from .Worklist import Worklist
from .WorklistFolder import CaseState, WorklistCase, storedObjects

READER = "SAM2AnnotateLib.worker.lay_down"
_LEARNING = {"seconds": 30.0}
_MOST_TEACHERS = 10  # reviewed cases that are learned from, the newest
_MOST_LOOKED_AT = 30  # reviewed cases that are asked whether they show the object, the newest
_BEYOND = 2
_NOTHING = "What was learned before stays."
_TRIES = 2  # of a model whose process died
_REVIEWED = (CaseState.REVIEWED, CaseState.EXPORTED)


@dataclass
class _Plan:
    """What is to be learned.

    Args:
        known: what was learned before; nothing of it if that cannot be used any more.
        order: names of all reviewed cases, the newest last.
        teachers: those that are learned from, the newest last, and what each holds of the object.
        opened: the volumes of the teachers that were read so far.
    """

    known: LearnedOfCases.LearnedOfCases
    order: list[str]
    teachers: list[tuple[WorklistCase, JournaledObject]]
    opened: list[OpenedVolume] = field(default_factory=list)

    @property
    def next(self) -> WorklistCase | None:
        """The one that is to be read; None if all are."""
        return self.teachers[len(self.opened)][0] if len(self.opened) < len(self.teachers) else None

    @property
    def goesOn(self) -> bool:
        """Whether all cases that were learned from before are still reviewed."""
        return set(self.known.cases) <= set(self.order)

    def isNew(self, case: WorklistCase) -> bool:
        """Whether a case was reviewed since."""
        return case.name not in self.known.cases


class CaseLearning:
    """Learns one object at a time.

    Args:
        logic: the steps of the work.
        worklist: whose folder it is.
        python: see `CommandProcess`; for tests.

    Attributes:
        changed: () told when it went on.
        ended: (name, error) told when it ended, with None or what went wrong.
        options: how long it takes, as `ModelService.learn` has it.
        problems: which cases could not be learned from, by name.
        running, name: whether an object is being learned, and which was last.
        brought: what the latest one brought, or why it ended, in a sentence.
    """

    def __init__(self, logic: AnnotationLogic, worklist: Worklist, python=None):
        self._logic, self._worklist = logic, worklist
        self.changed, self.ended = Event(), Event()
        self.options: dict = dict(_LEARNING)
        self.problems: dict[str, str] = {}
        self._reader = CommandProcess(self._onReport, self._onRead, python)
        self._folder = None  # of temporary files, while it runs
        self._path = Path()
        self._plan: _Plan | None = None
        self._plane = ""
        self._start: LearnedModel | None = None
        self._report: dict | None = None
        self._voxels = Path()
        self._files = self._failures = 0
        self._request: Request | None = None
        self._progress: Progress | None = None
        self._message: Learned | None = None
        self.running, self.name, self.brought = False, "", ""

    @property
    def text(self) -> str:
        """What it does now, or what came of it."""
        if not self.running or self._plan is None:
            return self.brought
        progress = self._progress
        share = f", {100 * progress.done // progress.total} % of it" if progress is not None and progress.total else ""
        return f"Learning '{self.name}' from {len(self._plan.teachers)} reviewed cases{share}."

    def learnedOf(self, name: str) -> LearnedModel | None:
        """What was learned of an object from this folder's cases; None for nothing that is there, whole, and of the model in use."""
        folder = self._worklist.folder
        known = LearnedOfCases.read(folder.path, name) if folder is not None else None
        if known is None or not known.sha256:
            return None
        try:
            found = self._logic.learnedModels.find({"sha256": known.sha256, "name": name})
            if found is not None:
                found.data()
        except InputError:  # it is learned again
            return None
        base = (self._logic.service.description or {}).get("weights_sha256")
        return found if found is not None and base in (None, found.baseSha256) else None

    def isDue(self, name: str) -> bool:
        """Whether cases were reviewed, or what was learned got lost, since the object was learned last."""
        return self._planFor(name) is not None

    # -- steps ----------------------------------------------------------------------------------------------------------------------

    def start(self, name: str, plane: str = "") -> bool:
        """Learn an object from the reviewed cases that show it, if there is anything new in them; returns whether it began.

        Args:
            name: of the object.
            plane: the direction that it is to be used in; by default that of the newest case.

        Raises:
            PromptError: if one is being learned already.
            SAM2AnnotateError: if it cannot be noted, or no process can be started.
        """
        if self.running:
            raise PromptError("An object is being learned from the reviewed cases already.")
        self._failures = 0
        return self._begin(name, plane)

    def cancel(self) -> None:
        """Stop; what was learned before stays."""
        if self.running:
            self._end(Cancelled("Stopped.", _NOTHING), f"Stopped. {_NOTHING}")

    def cleanup(self) -> None:
        """The panel goes."""
        self.ended, self.changed = Event(), Event()
        self.cancel()

    def _begin(self, name: str, plane: str) -> bool:
        plan = self._planFor(name)
        if plan is None:
            return False
        self._path = self._worklist.folder.path
        self.name, self._plane, self._plan, self._progress = name, plane, plan, None
        if not any(plan.isNew(case) for case, _stored in plan.teachers) and plan.goesOn:
            self._remember(plan.known.sha256)  # none of the new ones shows the object
            return False
        if not plan.teachers:
            self._remember("")
            return False
        self.running = True
        try:
            self._readNext()
        except SAM2AnnotateError:
            self._close()
            raise
        self.changed.emit()
        return True

    def _end(self, error: SAM2AnnotateError | None, brought: str) -> None:
        self.brought = brought
        self._close()
        self.changed.emit()
        self.ended.emit(self.name, error)

    def _close(self) -> None:
        self.running = False
        request, self._request = self._request, None
        if request is not None:
            self._logic.service.cancel(request)
        self._reader.kill()
        for opened in self._plan.opened if self._plan is not None else []:
            self._logic.service.closeFile(opened)
        self._plan = self._start = self._message = None
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    # -- which cases ------------------------------------------------------------------------------------------------------------------

    def _planFor(self, name: str) -> _Plan | None:
        """What is to be learned of an object; None if nothing has changed since it was learned."""
        folder = self._worklist.folder
        if folder is None:
            return None
        reviewed = {case.name: case for case in folder.cases() if case.name not in self.problems and self._isReviewed(case)}
        known = LearnedOfCases.read(folder.path, name)
        if known.sha256 and self.learnedOf(name) is None:
            known = LearnedOfCases.LearnedOfCases()
        if not reviewed or set(reviewed) == set(known.cases):
            return None
        order = [*(one for one in known.cases if one in reviewed), *(one for one in reviewed if one not in known.cases)]
        teachers: list[tuple[WorklistCase, JournaledObject]] = []
        for one in reversed(order[-_MOST_LOOKED_AT:]):
            stored = self._storedIn(reviewed[one], name)
            if stored is not None and len(teachers) < _MOST_TEACHERS:
                teachers.insert(0, (reviewed[one], stored))
        return _Plan(known, order, teachers)

    def _isReviewed(self, case: WorklistCase) -> bool:
        try:
            return self._worklist.folder.state(case) in _REVIEWED
        except InputError:  # the list of cases says so
            return False

    def _storedIn(self, case: WorklistCase, name: str) -> JournaledObject | None:
        try:
            return next((one for one in storedObjects(case.segmentation) if one.about.get("segment") == name), None)
        except InputError as error:
            self.problems[case.name] = told(error)
            return None

    # -- reading their volumes ----------------------------------------------------------------------------------------------------------

    def _readNext(self) -> None:
        case, stored = self._plan.teachers[len(self._plan.opened)]
        if self._folder is None:
            self._folder = temporary_folder("worklist", None)
        self._files += 1
        self._report, self._voxels = None, Path(self._folder.name) / f"{self._files}.npy"
        untilt = ["--untilt"] if self._worklist.untilt else []
        self._reader.start([str(case.path), str(self._voxels), "--like", _grayOf(stored), *untilt], module=READER)

    def _onReport(self, report: dict) -> None:
        if report.get("type") == "volume":
            self._report = report

    def _onRead(self, error: SAM2AnnotateError | None) -> None:
        if not self.running:
            return
        plan, case = self._plan, self._plan.next
        try:
            if error is not None or self._report is None:
                self._leaveOut(case, error or WorkerError(f"'{case.path}' was not read."))
                return
            plan.opened.append(self._asOpened(case, plan.teachers[len(plan.opened)][1].axis))
            if plan.next is not None:
                self._readNext()
            else:
                self._learn()
        except SAM2AnnotateError as failure:
            self._end(failure, told(failure))

    def _leaveOut(self, case: WorklistCase, error: SAM2AnnotateError) -> None:
        """A case cannot be learned from: remember why, and begin again without it."""
        name, plane = self.name, self._plane
        self.problems[case.name] = told(error)
        self._close()
        if not self._begin(name, plane):
            self._end(None, "")

    def _asOpened(self, case: WorklistCase, axis: str) -> OpenedVolume:
        report = self._report
        grid = VolumeGrid(tuple(report["shape_kji"]), np.array(report["ijk_to_ras"]))
        volume = Volume(grid, np.load(self._voxels, mmap_mode="r", allow_pickle=False))
        mapping, stack = IntensityMapping(**report["mapping"]), SliceStack.along(grid, axis)
        file = f"learned:{self._files}:{case.name}@file"
        key = f"{file}|{axis}|{mapping.lower}|{mapping.upper}|{stack.flipped}{stack.array_axes}"
        return OpenedVolume(key, file, volume, axis, mapping, str(self._voxels))

    # -- learning -----------------------------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """All volumes are there: learn, from what was learned before if that has not seen the newest one."""
        from SAM2AnnotateLib.adaptation.options import MOST_SLICES_OF_SEVERAL  # here, as much of the library comes with it

        plan = self._plan
        stacks = [SliceStack.along(opened.volume.grid, opened.axis) for opened in plan.opened]
        plane = self._plane or stacks[-1].plane
        lessons, taught = [], []
        for opened, stack, (case, stored) in zip(plan.opened, stacks, plan.teachers, strict=True):
            found = _lessonsOf(opened, stack, stored, MOST_SLICES_OF_SEVERAL // len(stacks)) if stack.plane == plane else []
            if found:
                lessons += found
                taught.append(case)
        if plan.goesOn and not any(plan.isNew(case) for case in taught):
            self._took(plan.known.sha256, "")  # the new ones were reviewed in another direction
            return
        before = self.learnedOf(self.name) if plan.goesOn and plan.known.sha256 else None
        self._start = before if before is not None and Adapter.from_bytes(before.data()).card.plane in ("", plane) else None
        self._ask(lessons)

    def _ask(self, lessons: list) -> None:
        code = self._plan.teachers[-1][1].about.get("terminology")
        options = {"terminology": codeOf(code) if isinstance(code, str) else "", **self.options}
        asked = self._plan
        received = {
            "onProgress": self._onProgress,
            "onReply": self._onReply,
            "onDone": self._onDone,
            "onFailed": lambda error: self._onFailed(error, lessons),
        }
        self._message = None
        service, policy = self._logic.service, self._logic.policy
        request = service.learn(lessons, policy, self.name, options, start=self._start, ofBackground=True, **received)
        if self._plan is asked and self.running:  # it may have ended within the call
            self._request = request

    def _onProgress(self, progress: Progress) -> None:
        self._progress = progress
        self.changed.emit()

    def _onReply(self, message: Message) -> None:
        if isinstance(message, Learned):
            self._message = message

    def _onDone(self) -> None:
        self._request = None
        plan, message = self._plan, self._message
        if not self.running or plan is None or message is None:
            return
        try:
            sha256 = plan.known.sha256 if plan.goesOn else ""  # where nothing better was found, it stays
            if message.data:
                sha256 = self._logic.learnedModels.keep(unpack([message.data])[0]).sha256
            self._took(sha256, message.text)
        except SAM2AnnotateError as error:
            self._end(error, told(error))

    def _onFailed(self, error: SAM2AnnotateError, lessons: list) -> None:
        self._request = None
        if not self.running:
            return
        plan = self._plan
        if self._start is not None and isinstance(error, (CheckpointError, InputError)):
            self._start = None  # the model that learns does not take it: anew
            self._ask(lessons)
            return
        self._failures += 1
        if isinstance(error, (WorkerError, EngineError)) and self._failures < _TRIES:
            self._ask(lessons)  # its process died, or had no room beside something else: once more
        elif isinstance(error, InputError):  # too little to learn from
            try:
                self._took(plan.known.sha256 if plan.goesOn else "", told(error))
            except SAM2AnnotateError as second:
                self._end(second, told(second))
        else:
            self._end(error, told(error))

    def _took(self, sha256: str, brought: str) -> None:
        self._remember(sha256)
        self._end(None, brought)

    def _remember(self, sha256: str) -> None:
        LearnedOfCases.write(self._path, self.name, LearnedOfCases.LearnedOfCases(sha256, tuple(self._plan.order)))


def _grayOf(stored: JournaledObject) -> str:
    """The gray window that a case was reviewed in, as `lay_down` takes it: JSON of a mapping, or of None."""
    mapping = stored.about.get("mapping")
    try:
        return json.dumps(IntensityMapping(**mapping).to_json()) if mapping else "null"
    except (TypeError, InputError):  # edited by hand
        return "null"


def _lessonsOf(
    opened: OpenedVolume, stack: SliceStack, stored: JournaledObject, most: int
) -> list[tuple[OpenedVolume, int, np.ndarray, Extent, bool]]:
    """(volume, position, mask, extent, whether a person drew it) of slices that show the object, `most` evenly spread, and some that do
    not; none if it was reviewed on another volume."""
    session = stored.session
    if session.frame_shape_rc != stack.frame_shape_rc or session.extent.last >= stack.shape_src[0]:
        return []
    extent = session.extent
    masks = {position: session.mask(position) for position in session.locked}
    shown = sorted(position for position, mask in masks.items() if mask.any())
    if not shown:
        return []
    pairs = [shown[n : n + 2] for n in range(0, len(shown), 2)]
    spread = sorted({round(n) for n in np.linspace(0, len(pairs) - 1, min(len(pairs), most // 2))})
    chosen = [position for number in spread for position in pairs[number]]
    empty = [position for position, mask in sorted(masks.items()) if not mask.any()][:_BEYOND]
    lessons = {position: masks[position] for position in (*chosen, *empty)}
    for position in (extent.first - _BEYOND, extent.last + _BEYOND):
        if 0 <= position < stack.shape_src[0]:
            lessons[position] = np.zeros(session.frame_shape_rc, dtype=bool)
    accepted = {position for position in session.locked if session.status(position) is not SliceStatus.CORRECTED}
    return [(opened, position, mask, extent, position not in accepted) for position, mask in sorted(lessons.items())]
