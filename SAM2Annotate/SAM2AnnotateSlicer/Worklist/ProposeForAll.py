"""ProposeForAll: an object of a prototype is looked for in all cases that nobody has begun, in the background. Knows no widget.

Case by case: a process of its own reads the volume and lays down its voxels, the model looks for the object when nobody asks it for
anything else, what was found is written beside the volume. Where cases were reviewed, the model learns the object from them first, and
again when more are; what was proposed before is then looked for anew. Stopped, killed or interrupted, the next start goes on with the rest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.atomic_files import write_text_atomically
from SAM2AnnotateLib.errors import Cancelled, EngineError, InputError, PromptError, SAM2AnnotateError, WorkerError
from SAM2AnnotateLib.geometry import Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.json_input import Fields, read_json
from SAM2AnnotateLib.leftovers import temporary_folder
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.worker.messages import Learned, Message, unpack

from ..Event import Event
from ..Learning.Search import Search
from ..Model.CommandProcess import CommandProcess
from ..Model.ModelService import OpenedVolume, Request
from ..Review.Logic import AnnotationLogic
from ..Told import told
from . import CaseProposals
from .CaseProposals import CaseProposal
from .Worklist import Worklist
from .WorklistFolder import CaseState, WorklistCase, storedObjects

STATE_FILE = "sam2annotate_proposals.json"
_READER = "SAM2AnnotateLib.worker.lay_down"
_LEARNING = {"seconds": 30.0}
_MOST_TEACHERS = 10  # reviewed cases that are learned from, the latest by name
_MOST_LESSONS = 16  # slices of each that show the object, pairs of neighbors evenly spread: one is remembered for the other
_BEYOND = 2
_TRIES = 2  # of a case whose process died


class ProposeForAll:
    """Proposes for the cases of the worklist's folder.

    Args:
        logic: the steps of the work.
        worklist: whose folder it is.
        library: folder of the prototypes; by default the user's own.
        python: see `CommandProcess`; for tests.

    Attributes:
        changed: () told when it went on.
        options: how long the model learns from reviewed cases, as `ModelService.learn` has it.
        problems: what could not be done, by the case's name.
    """

    def __init__(self, logic: AnnotationLogic, worklist: Worklist, library: Path | None = None, python=None):
        self._logic, self._worklist, self._libraryFolder = logic, worklist, library
        self.changed = Event()
        self.options: dict = dict(_LEARNING)
        self.problems: dict[str, str] = {}
        self._reader = CommandProcess(self._onReport, self._onRead, python)
        self._folder = None  # of temporary files, while it runs
        self._search: Search | None = None
        self._request: Request | None = None
        self._case: WorklistCase | None = None
        self._lessons: _Lessons | None = None
        self._report: dict | None = None
        self._opened: list[OpenedVolume] = []
        self._files = 0
        self._failures = 0
        self._progress: Progress | None = None
        self._path: Path | None = None
        self._lastEnd = "-"  # what was told when all cases were done
        self._learned: Learned | None = None
        self._voxels = Path()
        self.running, self.name, self.ended = False, "", ""
        worklist.saved.connect(self._onSaved)

    # -- how things stand -----------------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What it does now, or how it ended."""
        if not self.running:
            return self.ended
        done, total = self.counts
        share = ""
        if self._progress is not None and self._progress.total:
            share = f", {100 * self._progress.done // self._progress.total} % of it"
        if self._lessons is not None:
            return f"Learning '{self.name}' from {len(self._lessons.cases)} reviewed cases{share}; {done} of {total} cases done."
        at = f" Now '{self._case.name}'{share}." if self._case is not None else ""
        return f"{done} of {total} cases done.{at}"

    def names(self) -> list[str]:
        """Names of the objects that there are prototypes of. Raises SAM2AnnotateError if the library cannot be read."""
        from SAM2AnnotateLib.prototypes import PrototypeLibrary  # here, as much of the library comes with it

        return PrototypeLibrary(self._libraryFolder).names()

    @property
    def counts(self) -> tuple[int, int]:
        """How many of how many cases that nobody has begun are done."""
        if self._search is None or not self._isSameFolder:
            return 0, 0
        cases = self._candidates()
        return sum(not self._isDue(case) for case in cases), len(cases)

    @property
    def _isSameFolder(self) -> bool:
        """Whether the worklist is still at the folder that it was started on."""
        return self._worklist.folder is not None and self._worklist.folder.path == self._path

    # -- steps ----------------------------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Look for an object in all cases that are left; cases that were looked into with the same prototypes are left as they are.

        Raises:
            PromptError: if no folder is chosen, or it runs already.
            InputError: if a prototype is damaged.
        """
        if self._worklist.folder is None:
            raise PromptError("Choose a folder with volumes first.")
        if self.running:
            raise PromptError("The cases are being looked into already.")
        self.name, self.problems, self._failures, self.ended = name, {}, 0, ""
        self._path = self._worklist.folder.path
        self._search = self._searchWith(self._stateOf(name))
        self.running = True
        self._advance()

    def cancel(self) -> None:
        """Stop; what is done stays, and the next start goes on."""
        if self.running:
            self._stop("Stopped. Press 'Propose for all' to go on with the cases that are left.")

    def cleanup(self) -> None:
        """The panel goes."""
        self._worklist.saved.disconnect(self._onSaved)
        self._stop("")

    def _stop(self, why: str) -> None:
        self.running, self.ended = False, why
        request, self._request = self._request, None
        if request is not None:
            self._logic.service.cancel(request)
        self._reader.kill()
        self._tidy()
        self._case = self._lessons = None
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()
        self.changed.emit()

    # -- one case after the other -----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Do the next thing."""
        if not self.running:
            return
        self._tidy()
        self._case = self._lessons = self._progress = None
        if not self._isSameFolder:
            self._stop("Stopped, because another folder was chosen.")
            return
        try:
            teachers = self._teachers()
            if teachers:
                self._lessons = _Lessons(teachers, self.name)
                self._readNext(self._lessons.cases[0])
            else:
                case = next((case for case in self._candidates() if self._isDue(case)), None)
                if case is None:
                    self._lastEnd = self._endText()
                    self._stop(self._lastEnd)
                    return
                self._case = case
                self._readNext(case)
        except SAM2AnnotateError as error:
            self._stop(told(error))
            return
        self.changed.emit()

    def _readNext(self, case: WorklistCase) -> None:
        if self._folder is None:
            self._folder = temporary_folder("worklist", None)
        self._files += 1
        self._report, self._voxels = None, Path(self._folder.name) / f"{self._files}.npy"
        like = self._search.likeMapping.to_json()
        untilt = ["--untilt"] if self._worklist.untilt else []
        self._reader.start([str(case.path), str(self._voxels), "--like", json.dumps(like), *untilt], module=_READER)

    def _onReport(self, report: dict) -> None:
        if report.get("type") == "volume":
            self._report = report

    def _onRead(self, error: SAM2AnnotateError | None) -> None:
        if not self.running:
            return
        case = self._case if self._lessons is None else self._lessons.next
        if error is not None or self._report is None:
            self._skip(case, error or WorkerError(f"'{case.path}' was not read."))
            return
        opened = self._asOpened(case)
        if self._lessons is None:
            self._ask(opened)
            return
        self._lessons.add(opened)
        if self._lessons.next is not None:
            self._readNext(self._lessons.next)
        else:
            self._learn()

    def _asOpened(self, case: WorklistCase) -> OpenedVolume:
        report = self._report
        grid = VolumeGrid(tuple(report["shape_kji"]), np.array(report["ijk_to_ras"]))
        volume = Volume(grid, np.load(self._voxels, mmap_mode="r", allow_pickle=False))
        mapping = IntensityMapping(**report["mapping"])
        opened = self._search.openedWith(volume, f"case:{self._files}:{case.name}@file", mapping, str(self._voxels))
        self._opened.append(opened)
        return opened

    def _ask(self, opened: OpenedVolume) -> None:
        self._search = self._search.again()
        self._search.openedWith(opened.volume, opened.fileKey, opened.mapping)
        received = {"onProgress": self._onProgress, "onDone": self._onFound, "onFailed": self._onFailed, **self._search.receivers}
        service = self._logic.service
        case = self._case
        request = service.proposeObject(opened, self._search.files, self._search.adapter, self._logic.policy, ofBackground=True, **received)
        if self._case is case and self.running:
            self._request = request

    def _onProgress(self, progress: Progress) -> None:
        self._progress = progress
        self.changed.emit()

    def _onFound(self) -> None:
        case, search, opened = self._case, self._search, self._opened[-1]
        self._request = None
        if case is None:
            return
        try:
            proposal = CaseProposal(
                self.name,
                search.found is not None,
                round(search.meanDoubt, 4),
                search.notFound.reason if search.notFound is not None else "",
                search.stamp,
            )
            made = ()
            if search.found is not None:
                session, about = search.review(SliceStack.along(opened.volume.grid, search.axis))
                if search.adapter:
                    about["learned"] = self._logic.learnedModels.keep(search.adapter).toJson()
                made = (search.axis, session, about)
            if not case.segmentation.is_file():  # else a person has begun it meanwhile
                CaseProposals.write(case, proposal, opened.volume.grid, *made)
        except SAM2AnnotateError as error:
            self._skip(case, error)
            return
        self._failures = 0
        self._advance()

    def _onFailed(self, error: SAM2AnnotateError) -> None:
        self._request = None
        if not self.running:
            return
        self._failures += 1
        if isinstance(error, (WorkerError, EngineError)) and self._failures < _TRIES:
            self._advance()  # its process died, or had no room beside something else: once more
        elif isinstance(error, (WorkerError, EngineError, Cancelled)):
            self._stop(f"{told(error)} Press 'Propose for all' to go on with the cases that are left.")
        else:
            self._skip(self._case, error)

    def _skip(self, case: WorklistCase | None, error: SAM2AnnotateError) -> None:
        """A case cannot be looked into, or learned from: remember why, and go on."""
        if case is not None:
            self.problems[case.name] = told(error)
        self._failures = 0
        self._advance()

    # -- learning from reviewed cases ---------------------------------------------------------------------------------------------------

    def _teachers(self) -> list[tuple[WorklistCase, JournaledObject]]:
        """Reviewed cases that show the object, if there are more of them than it was learned from; empty if nothing is to be learned."""
        folder = self._worklist.folder
        reviewed = [case for case in folder.cases() if folder.state(case) in (CaseState.REVIEWED, CaseState.EXPORTED)]
        names = sorted(case.name for case in reviewed if case.name not in self.problems)
        if not names or names == self._stateOf(self.name).get("learned_from"):
            return []
        found = []
        for case in reviewed[-_MOST_TEACHERS:]:
            objects = [one for one in storedObjects(case.segmentation) if one.about.get("segment") == self.name]
            if objects and case.name not in self.problems:
                found.append((case, objects[0]))
        if not found:
            self._keepState({"learned": "", "learned_from": names})
        return found

    def _learn(self) -> None:
        lessons, service = self._lessons.all(), self._logic.service
        received = {"onProgress": self._onProgress, "onReply": self._onReply, "onDone": self._onLearned, "onFailed": self._onLearningFailed}
        asked = self._lessons
        self._learned = None
        request = service.learn(lessons, self._logic.policy, self.name, dict(self.options), ofBackground=True, **received)
        if self._lessons is asked and self.running:
            self._request = request

    def _onReply(self, message: Message) -> None:
        if isinstance(message, Learned):
            self._learned = message

    def _onLearned(self) -> None:
        self._request = None
        if not self.running or self._learned is None:
            return
        try:
            sha256 = ""
            if self._learned.data:
                sha256 = self._logic.learnedModels.keep(unpack([self._learned.data])[0]).sha256
            self._rememberLearned(sha256)
        except SAM2AnnotateError as error:
            self._stop(told(error))
            return
        self._advance()

    def _onLearningFailed(self, error: SAM2AnnotateError) -> None:
        self._request = None
        if not self.running:
            return
        self._failures += 1
        if isinstance(error, (WorkerError, EngineError)) and self._failures < _TRIES:
            self._advance()
        elif isinstance(error, InputError):  # too little to learn from: go on without
            try:
                self._rememberLearned("")
            except SAM2AnnotateError as second:
                self._stop(told(second))
                return
            self._advance()
        else:
            self._stop(f"{told(error)} Press 'Propose for all' to go on with the cases that are left.")

    def _rememberLearned(self, sha256: str) -> None:
        folder = self._worklist.folder
        reviewed = [case for case in folder.cases() if folder.state(case) in (CaseState.REVIEWED, CaseState.EXPORTED)]
        self._keepState({"learned": sha256, "learned_from": sorted(case.name for case in reviewed if case.name not in self.problems)})
        self._search = self._searchWith(self._stateOf(self.name))

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _onSaved(self, _case: WorklistCase) -> None:
        """A case was saved: if it is reviewed now, what is left may be looked for better."""
        if self.name and not self.running and self._isSameFolder and self.ended == self._lastEnd:
            try:
                if self._teachers():
                    self.start(self.name)
            except SAM2AnnotateError as error:
                self.ended = told(error)
                self.changed.emit()

    def _candidates(self) -> list[WorklistCase]:
        """The cases that a person has saved nothing of, but for the one that is open; those that were not looked into come first."""
        folder, current = self._worklist.folder, self._worklist.current
        cases = [case for case in folder.cases() if case != current and case.name not in self.problems and not case.segmentation.is_file()]
        return sorted(cases, key=lambda case: CaseProposals.find(case) is not None)

    def _isDue(self, case: WorklistCase) -> bool:
        known = CaseProposals.find(case)
        return known is None or (not known.isOfPeople and (known.stamp != self._search.stamp or known.name != self.name))

    def _endText(self) -> str:
        done, total = self.counts
        failed = f" {len(self.problems)} could not be looked into." if self.problems else ""
        return f"'{self.name}' was looked for in {done} of {total} cases.{failed}"

    def _searchWith(self, state: dict) -> Search:
        from SAM2AnnotateLib.prototypes import PrototypeLibrary  # here, as much of the library comes with it

        learned = self._logic.learnedModels.find({"sha256": state["learned"], "name": self.name}) if state.get("learned") else None
        return Search.of(self.name, PrototypeLibrary(self._libraryFolder), b"" if learned is None else learned.data())

    def _stateOf(self, name: str) -> dict:
        """What was learned of an object from this folder's cases, and from which; empty if nothing was, or the file cannot be used."""
        path = self._worklist.folder.path / STATE_FILE
        if not path.is_file():
            return {}
        try:
            fields = Fields(read_json(path, "what was learned"), f"'{path}'")
            one = fields.object("objects").object(name, {})
            return {"learned": one.text("learned", ""), "learned_from": one.texts("learned_from", [])} if one.values else {}
        except InputError:  # it is learned again
            return {}

    def _keepState(self, state: dict) -> None:
        path = self._worklist.folder.path / STATE_FILE
        try:
            objects = dict(Fields(read_json(path, "what was learned"), f"'{path}'").object("objects").values) if path.is_file() else {}
        except InputError:
            objects = {}
        objects[self.name] = state
        write_text_atomically(path, json.dumps({"format": 1, "objects": objects}, indent=1) + "\n")

    def _tidy(self) -> None:
        """Let go of the voxels of the last case."""
        for opened in self._opened:
            self._logic.service.closeFile(opened)
            try:
                Path(opened.arrayFile).unlink(missing_ok=True)
            except PermissionError:  # Windows, while the model still maps it: the folder takes it along
                continue
        self._opened = []


class _Lessons:
    """What reviewed cases teach, while their volumes are read one after the other."""

    def __init__(self, teachers: list[tuple[WorklistCase, JournaledObject]], name: str):
        self._teachers, self.name = teachers, name
        self._opened: list[OpenedVolume] = []

    @property
    def cases(self) -> list[WorklistCase]:
        """All of them."""
        return [case for case, _stored in self._teachers]

    @property
    def next(self) -> WorklistCase | None:
        """The one that is to be read; None if all are."""
        return self._teachers[len(self._opened)][0] if len(self._opened) < len(self._teachers) else None

    def add(self, opened: OpenedVolume) -> None:
        """The next one was read."""
        self._opened.append(opened)

    def all(self) -> list[tuple[OpenedVolume, int, np.ndarray, Extent, bool]]:
        """(volume, position, mask, extent, whether a person drew it) of the slices that are learned from."""
        return [
            lesson for opened, (_case, stored) in zip(self._opened, self._teachers, strict=True) for lesson in _lessonsOf(opened, stored)
        ]


def _lessonsOf(opened: OpenedVolume, stored: JournaledObject) -> list[tuple[OpenedVolume, int, np.ndarray, Extent, bool]]:
    """Slices that show the object, evenly spread, and some that do not; none if it was reviewed in another direction."""
    session = stored.session
    stack = SliceStack.along(opened.volume.grid, opened.axis)
    if stored.axis != opened.axis or session.frame_shape_rc != stack.frame_shape_rc or session.extent.last >= stack.shape_src[0]:
        return []
    extent = session.extent
    masks = {position: session.mask(position) for position in session.locked}
    shown = sorted(position for position, mask in masks.items() if mask.any())
    pairs = [shown[n : n + 2] for n in range(0, len(shown), 2)]
    spread = sorted({round(n) for n in np.linspace(0, len(pairs) - 1, min(len(pairs), _MOST_LESSONS // 2))}) if pairs else []
    chosen = [position for number in spread for position in pairs[number]]
    empty = [position for position, mask in sorted(masks.items()) if not mask.any()][:_BEYOND]
    lessons = {position: masks[position] for position in (*chosen, *empty)}
    for position in (extent.first - _BEYOND, extent.last + _BEYOND):
        if 0 <= position < stack.shape_src[0]:
            lessons[position] = np.zeros(session.frame_shape_rc, dtype=bool)
    accepted = {position for position in session.locked if session.status(position) is not SliceStatus.CORRECTED}
    return [(opened, position, mask, extent, position not in accepted) for position, mask in sorted(lessons.items())]
