"""LearningSection: learning, prototypes and proposed ends in the panel. Imports the logic of this room."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import SAM2AnnotateError

from ..Notice import showText
from ..Review.Logic import AnnotationLogic
from ..Scrolling import reveal
from .ExtentOffer import ExtentOffer
from .Learner import Learner, corrections
from .LearningText import endsText, keepQuestion, learnedChoices, learnText, progressText, stateText
from .PrototypeSteps import PrototypeSteps


class LearningSection:
    """Shows what was and can be learned, and asks before a patient's picture is kept.

    Args:
        ui: the panel's widgets by name.
        logic: the steps.
        attempt: calls a step and shows what goes wrong.
        say: shows a message.

    Attributes:
        confirm: asks whether to go on.
    """

    def __init__(self, ui, logic: AnnotationLogic, attempt: Callable, say: Callable[[str], None]):
        self._ui, self._logic, self._say = ui, logic, say
        self.learner, self.offer, self.prototypes = Learner(logic), ExtentOffer(logic), PrototypeSteps(logic)
        self.confirm: Callable[[str], bool] = slicer.util.confirmOkCancelDisplay
        self._choices: list[tuple[str, str]] = []
        self._names: list[str] | None = None
        ui.learnedComboBox.connect("activated(int)", lambda row: attempt(self._onLearned, row))
        for learning in (self.learner, self.prototypes):
            learning.progressed.connect(self.refreshProgress)

    def enter(self) -> None:
        """The panel is shown: files may have come or gone."""
        self._names = None

    def cleanup(self) -> None:
        """The panel goes."""
        for learning in (self.learner, self.prototypes):
            learning.progressed.disconnect(self.refreshProgress)
        self.offer.cleanup()

    def refresh(self, hasObject: bool, hasVolume: bool, correcting: bool, openSlices: int) -> None:
        """Show how things stand; what was learned is told as long as there are open slices, which it is for."""
        ui, learner = self._ui, self.learner
        annotated = self._logic.current if hasObject else None
        count = learner.lessonCount(annotated)
        ui.learningFrame.visible = annotated is not None and not correcting
        text = learnText(count)
        if ui.learnButton.text != text:
            ui.learnButton.text = text
        isUsed = annotated is not None and annotated.learned is not None
        ui.forgetButton.visible = isUsed
        said = ""
        if annotated is not None:
            said = stateText(learner.offers(annotated), corrections(annotated), annotated.learned, learner.broughtTo(annotated))
        showText(ui.learningLabel, said)
        ui.learningLabel.visible = bool(said) and not learner.running and openSlices > 0
        ends = self.offer.ends if not correcting else None
        ui.extentOfferFrame.visible = ends is not None or self.offer.looking
        ui.takeExtentButton.visible = ends is not None
        showText(ui.extentOfferLabel, endsText(ends) if ends is not None else _("Looking for first and last slice."))
        self._showPrototypes(annotated is None and hasVolume)
        self._showLearned()
        self.refreshProgress()

    def refreshProgress(self) -> None:
        """Show how far learning and search are; cheap."""
        ui = self._ui
        for work, bar, button in (
            (self.learner, ui.learningProgressBar, ui.stopLearningButton),
            (self.prototypes, ui.proposalProgressBar, ui.stopProposingButton),
        ):
            for widget in (bar, button):
                if widget.visible != work.running:
                    widget.visible = work.running
            if work.running:
                bar.setRange(0, 100)
                bar.setValue(round(100 * work.share))
                bar.setFormat(_("Stopping") if work.stopping else progressText(work.share, work.secondsLeft))

    # -- what the user does ---------------------------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Learn from the locked slices."""
        self.learner.learn()
        reveal(self._ui.learningFrame)

    def keepPrototype(self) -> None:
        """Keep the object as a prototype, if the user agrees to keep pictures of the patient."""
        name, count = self.prototypes.wouldKeep()
        if self.confirm(keepQuestion(name, count, str(self.prototypes.folder))):
            self.prototypes.keep()
            self._names = None
            self._say(_("'{name}' was kept as a prototype, in {folder}.").format(name=name, folder=self.prototypes.folder))

    def proposeObject(self) -> None:
        """Look for the object of the chosen prototype in the chosen volume."""
        self.prototypes.propose(self._ui.prototypeComboBox.currentText)

    def _onLearned(self, row: int) -> None:
        sha256 = self._ui.learnedComboBox.itemData(row)
        self.learner.use(self._logic.learnedModels.find({"sha256": sha256, "name": sha256[:8]}) if sha256 else None)

    def _showPrototypes(self, visible: bool) -> None:
        combo = self._ui.prototypeComboBox
        if visible and self._names is None:
            try:
                self._names = self.prototypes.names()
            except SAM2AnnotateError as error:
                self._names = []
                self._say(str(error))
            chosen = combo.currentText
            combo.clear()
            combo.addItems(self._names)
            combo.setCurrentIndex(max(0, combo.findText(chosen)))
        self._ui.prototypeFrame.visible = self.prototypes.running or (visible and bool(self._names))

    def _showLearned(self) -> None:
        """The list of what can be used, and what is."""
        combo, logic = self._ui.learnedComboBox, self._logic
        choices = learnedChoices(self.learner.usable())
        annotated = logic.current
        used = (annotated.learned or {}) if annotated is not None else {}
        sha256 = used.get("sha256", "") if annotated is not None else (logic.nextLearned.sha256 if logic.nextLearned is not None else "")
        if sha256 and sha256 not in dict(choices):
            choices = [*choices, (sha256, _("{name}, which is not here").format(name=used.get("name", "")))]
        if choices != self._choices:
            self._choices = choices
            combo.clear()
            for value, text in choices:
                combo.addItem(text, value)
        row = combo.findData(sha256)
        if combo.currentIndex != row:
            combo.setCurrentIndex(row)
