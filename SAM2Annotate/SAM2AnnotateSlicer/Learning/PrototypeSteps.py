"""PrototypeSteps: keep an object as a prototype, and find it again on another volume. Opens no dialog, knows no widget.

A prototype holds pictures of a patient; whoever calls `keep` has asked. What is found is proposed, with a doubt a slice, and nothing of it
is locked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from SAM2AnnotateLib.errors import Cancelled, PromptError, SAM2AnnotateError

from ..Event import Event
from ..Model.LearnedModels import LearnedModel
from ..Model.ModelService import OpenedVolume
from ..Review.AnnotatedSegment import AnnotatedSegment, stackOf
from ..Review.Logic import AnnotationLogic
from ..Scene.SceneBridge import volumeFromNode, voxelsKey
from ..Told import told
from ..Words import sentence
from .Learner import codeOf
from .Search import Search
from .UnderWay import UnderWay


class PrototypeSteps(UnderWay):
    """Keeps prototypes and looks for their objects, one at a time.

    Args:
        logic: the steps of the work.
        folder: of the library; by default the user's own.
        clock: seconds of a clock that never goes back.

    Attributes:
        proposed: (AnnotatedSegment) told when an object was found and is the current one.
    """

    def __init__(self, logic: AnnotationLogic, folder: Path | None = None, clock: Callable[[], float] = time.monotonic):
        super().__init__(logic, clock)
        self._folder = folder
        self.proposed = Event()
        self._search: Search | None = None
        self._volumeNode = None
        self._name = ""

    # -- how things stand -----------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where the prototypes lie."""
        return self._library().folder

    def names(self) -> list[str]:
        """Names of the objects that there are prototypes of. Raises SAM2AnnotateError if the library cannot be read."""
        return self._library().names()

    # -- steps ----------------------------------------------------------------------------------------------------------------------

    def wouldKeep(self) -> tuple[str, int]:
        """Name and number of pictures of the prototype that `keep` would make. Raises as `keep`."""
        prototype = self._made()
        return prototype.name, len(prototype.slices)

    def keep(self) -> None:
        """Keep the locked slices of the current object as a prototype, with what was learned of it if that is in use.

        Raises:
            PromptError: if there is no object, or none of its slices is accepted or corrected.
            InputError: if its name cannot name a folder.
            OutputError: if it cannot be written; nothing is left of it then.
        """
        logic, library = self._logic, self._library()
        learned = logic.learnedModels.find(logic.current.learned)
        keepIn(library, self._made(), learned)
        logic.current.effort.note("prototype")

    def propose(self, name: str) -> None:
        """Look for an object in the chosen volume; what is found becomes a new object to review.

        Raises:
            PromptError: if no volume is chosen, or another search runs.
            InputError: if a prototype is damaged.
        """
        logic = self._logic
        if self.running:
            raise PromptError("An object is being looked for already. Wait for it, or cancel it.")
        volumeNode = logic.volumeNode
        search = Search.of(name, self._library())
        opened = search.opened(volumeFromNode(volumeNode), voxelsKey(volumeNode))
        self._search, self._volumeNode, self._name = search, volumeNode, name
        self._progress, self._begun = None, self._clock()
        received = {"onProgress": self._onProgress, "onDone": self._onDone, "onFailed": self._onFailed, **search.receivers}
        request = logic.service.proposeObject(opened, search.files, search.adapter, logic.policy, **received)
        if self._search is not None:  # it may have ended within the call
            self._request = request
        logic.changed.emit()

    # -- what the model says ----------------------------------------------------------------------------------------------------------

    def _onDone(self) -> None:
        logic, search, volumeNode = self._logic, self._search, self._volumeNode
        self._over()
        if search is None:
            return
        found = search.found
        if found is None:
            reason = search.notFound.reason if search.notFound is not None else ""
            logic.message.emit(f"'{search.name}' was not found in this volume. {sentence(reason)}".strip(), False)
        elif not logic.hasParameters or logic.parameters.volume is not volumeNode:
            logic.message.emit(
                f"'{search.name}' was found, but another volume is chosen by now, so it was not shown. Propose it again.", True
            )
        else:
            self._show(search)
        logic.changed.emit()

    def _show(self, search: Search) -> None:
        """Make what was found a new object, the current one."""
        logic = self._logic
        logic.leaveObject()
        session, about = search.review(stackOf(logic.volumeNode, search.axis))
        if search.adapter:
            about["learned"] = logic.learnedModels.keep(search.adapter).toJson()
        annotated = logic.addObject(search.name, search.axis, session, about)
        logic.selectSegment(annotated.segmentationNode, annotated.segmentId)
        logic.showWindow()
        logic.storeNow()
        count = len(session.extent)
        logic.message.emit(f"'{search.name}' is proposed on {count} slices. Look at each: accept (A) or correct (C).", False)
        self.proposed.emit(annotated)

    def _onFailed(self, error: SAM2AnnotateError) -> None:
        self._over()
        self._logic.message.emit(f"{sentence(told(error))} Nothing was changed.", not isinstance(error, Cancelled))
        self._logic.changed.emit()

    def _over(self) -> None:
        self._request = self._search = self._volumeNode = self._progress = None

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _library(self):
        from SAM2AnnotateLib.prototypes import PrototypeLibrary  # here, as much of the library comes with it

        return PrototypeLibrary(self._folder)

    def _made(self):
        logic, annotated = self._logic, self._logic.current
        if annotated is None:
            raise PromptError("No object is marked yet, so there is nothing to keep.")
        annotated.requireUsable()
        return prototypeOf(annotated, logic.opened(annotated))


def prototypeOf(annotated: AnnotatedSegment, opened: OpenedVolume):
    """The prototype of an object: its locked slices.

    Raises:
        PromptError: if no locked slice shows the object.
        InputError: if its name cannot name a folder.
    """
    from SAM2AnnotateLib.prototypes import prototype_of_slices

    session = annotated.session
    masks = {position: session.mask(position) for position in session.locked}
    if not any(mask.any() for mask in masks.values()):
        raise PromptError("Accept or correct slices of the object first: these are what a prototype shows.")
    terminology = codeOf(annotated.segment.GetTerminology() or "")
    return prototype_of_slices(opened.volume, annotated.stack, opened.mapping, annotated.name, masks, session.extent, terminology)


def keepIn(library, prototype, learned: LearnedModel | None) -> None:
    """Add a prototype to a library, and what was learned of its object if that is in use. Raises OutputError."""
    library.add(prototype)
    if learned is not None:
        from SAM2AnnotateLib.engine.adapter import Adapter

        library.keep_adapter(prototype.name, Adapter.from_bytes(learned.data()))
