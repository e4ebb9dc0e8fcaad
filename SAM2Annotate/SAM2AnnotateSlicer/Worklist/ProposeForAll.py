"""ProposeForAll: an object of a prototype is looked for in all cases that nobody has begun, in the background. Knows no widget.

Case by case: a process of its own reads the volume and lays down its voxels, the model looks for the object when nobody asks it for
anything else, what was found is written beside the volume. Where cases were reviewed, the model learns the object from them first, and
again when more are; what was proposed before is then looked for anew. Stopped, killed or interrupted, the next start goes on with the rest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from SAM2AnnotateLib.errors import Cancelled, CheckpointError, EngineError, PromptError, SAM2AnnotateError, WorkerError
from SAM2AnnotateLib.geometry import SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.leftovers import temporary_folder
from SAM2AnnotateLib.progress import Progress

from ..Event import Event
from ..Learning.Search import Search
from ..Model.CommandProcess import CommandProcess
from ..Model.ModelService import OpenedVolume, Request
from ..Review.Logic import AnnotationLogic
from ..Told import told
from . import CaseProposals
from .CaseLearning import READER, CaseLearning
from .CaseProposals import CaseProposal
from .Worklist import Worklist
from .WorklistFolder import WorklistCase

_TRIES = 2  # of a case whose process died


class ProposeForAll:
    """Proposes for the cases of the worklist's folder.

    Args:
        logic: the steps of the work.
        worklist: whose folder it is.
        library: folder of the prototypes; by default the user's own.
        python: see `CommandProcess`; for tests.
        learning: learns from reviewed cases.

    Attributes:
        changed: () told when it went on.
        problems: what could not be done, by the case's name.
    """

    def __init__(
        self, logic: AnnotationLogic, worklist: Worklist, library: Path | None = None, python=None, learning: CaseLearning | None = None
    ):
        self._logic, self._worklist, self._libraryFolder = logic, worklist, library
        self.learning = learning if learning is not None else CaseLearning(logic, worklist, python)
        self.changed = Event()
        self.problems: dict[str, str] = {}
        self._reader = CommandProcess(self._onReport, self._onRead, python)
        self._folder = None  # of temporary files, while it runs
        self._search: Search | None = None
        self._request: Request | None = None
        self._case: WorklistCase | None = None
        self._learns = False  # whether it began what is being learned
        self._isOld = False  # whether more has been learned than is looked for with
        self._report: dict | None = None
        self._opened: list[OpenedVolume] = []
        self._files = 0
        self._failures = 0
        self._progress: Progress | None = None
        self._path: Path | None = None
        self._lastEnd = "-"  # what was told when all cases were done
        self._voxels = Path()
        self.running, self.name, self.ended = False, "", ""
        worklist.saved.connect(self._onSaved)
        self.learning.ended.connect(self._onLearned)
        self.learning.changed.connect(self._onLearning)

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
        if self._case is None and self.learning.running:
            return f"{self.learning.text} {done} of {total} cases done."
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
        if not self.learning.running:
            self.learning.problems.clear()
        self._search = self._searchWith()
        self.running = True
        self._advance()

    def cancel(self) -> None:
        """Stop; what is done stays, and the next start goes on."""
        if self.running:
            self._stop("Stopped. Press 'Propose for all' to go on with the cases that are left.")

    def cleanup(self) -> None:
        """The panel goes."""
        self._worklist.saved.disconnect(self._onSaved)
        self.learning.ended.disconnect(self._onLearned)
        self.learning.changed.disconnect(self._onLearning)
        self._stop("")

    def _stop(self, why: str) -> None:
        self.running, self.ended = False, why
        request, self._request = self._request, None
        if request is not None:
            self._logic.service.cancel(request)
        self._reader.kill()
        self._tidy()
        self._case = None
        if self._learns:
            self._learns = False
            self.learning.cancel()
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
        self._case = self._progress = None
        if not self._isSameFolder:
            self._stop("Stopped, because another folder was chosen.")
            return
        try:
            if not self.learning.running and not self._beginsLearning():  # what is being learned is waited for
                if self._isOld:
                    self._isOld, self._search = False, self._searchWith()
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
        self._reader.start([str(case.path), str(self._voxels), "--like", json.dumps(like), *untilt], module=READER)

    def _onReport(self, report: dict) -> None:
        if report.get("type") == "volume":
            self._report = report

    def _onRead(self, error: SAM2AnnotateError | None) -> None:
        if not self.running:
            return
        case = self._case
        if error is not None or self._report is None:
            self._skip(case, error or WorkerError(f"'{case.path}' was not read."))
            return
        self._ask(self._asOpened(case))

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

    def _onLearning(self) -> None:
        if self.running and self._case is None:
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
        elif isinstance(error, CheckpointError) and self._isLearnedOfAnother():
            self._failures, self._case = 0, None
            self._goOn()
        else:
            self._skip(self._case, error)

    def _isLearnedOfAnother(self) -> bool:
        """Whether what was learned of the cases, and was just sent, belongs to another model than the one that is loaded now."""
        learned = self.learning.learnedOf(self.name)
        return learned is None and self._search.adapter != b"" and not self._search.isOfLibrary

    def _skip(self, case: WorklistCase | None, error: SAM2AnnotateError) -> None:
        """A case cannot be looked into, or learned from: remember why, and go on."""
        if case is not None:
            self.problems[case.name] = told(error)
        self._failures = 0
        self._advance()

    # -- learning from reviewed cases ---------------------------------------------------------------------------------------------------

    def _beginsLearning(self) -> bool:
        """Learn from the reviewed cases, if there is anything new in them; whether that was begun."""
        if not self.learning.isDue(self.name):
            return False
        self._learns = self.learning.start(self.name, self._search.plane)
        self._isOld = not self._learns
        return self._learns

    def _onLearned(self, name: str, error: SAM2AnnotateError | None) -> None:
        """Something was learned, or could not be: go on with it, if it was waited for."""
        wasOwn, self._learns = self._learns, False
        if not self.running or self._case is not None:
            self._isOld = self._isOld or (error is None and name == self.name)
            return
        if wasOwn and error is not None:
            self._stop(f"{told(error)} Press 'Propose for all' to go on with the cases that are left.")
            return
        self._goOn()

    def _goOn(self) -> None:
        """With what is learned by now."""
        try:
            self._search = self._searchWith()
        except SAM2AnnotateError as error:
            self._stop(told(error))
            return
        self._advance()

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _onSaved(self, _case: WorklistCase) -> None:
        """A case was saved: if it is reviewed now, what is left may be looked for better."""
        if self.name and not self.running and self._isSameFolder and self.ended == self._lastEnd:
            try:
                if self.learning.isDue(self.name):
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

    def _searchWith(self) -> Search:
        from SAM2AnnotateLib.prototypes import PrototypeLibrary  # here, as much of the library comes with it

        learned = self.learning.learnedOf(self.name)
        return Search.of(self.name, PrototypeLibrary(self._libraryFolder), b"" if learned is None else learned.data())

    def _tidy(self) -> None:
        """Let go of the voxels of the last case."""
        for opened in self._opened:
            self._logic.service.closeFile(opened)
            try:
                Path(opened.arrayFile).unlink(missing_ok=True)
            except PermissionError:  # Windows, while the model still maps it: the folder takes it along
                continue
        self._opened = []
