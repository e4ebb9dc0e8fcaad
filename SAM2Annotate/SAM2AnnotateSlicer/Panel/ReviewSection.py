"""ReviewSection: strip, slice line, counts and the correction of one slice. Imports the logic, ReviewStrip and CorrectionSection."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Review.ReviewSteps import GOOD_DSC
from ..Scene.ParameterNode import AfterAccept
from ..Scrolling import reveal
from ..Views.Following import Following
from ..Views.MaskDisplay import isShown
from ..Views.MaskOutlines import MaskOutlines
from ..Views.ReviewStrip import Cell, ReviewStrip
from ..Views.StatusBadges import StatusBadges
from ..Views.StatusColors import lookOf
from ..Views.Travel import Travel
from ..Views.ViewNavigator import ViewNavigator
from .CorrectionSection import CorrectionSection
from .PanelState import PanelState
from .WidgetText import afterAcceptChoices, countsText, noneLeftText, togetherText

_FEWEST_TOGETHER = 2


class ReviewSection:
    """Shows the review and takes decisions on the slice that the views show.

    Args:
        ui: the panel's widgets by name.
        logic: the steps.
        views: the slice views.
        attempt: calls a step and shows what goes wrong.
        say: shows a message.
        following: what moves the views during a propagation.
        effectChanged: told when another effect of the editor may be active.
    """

    def __init__(
        self,
        ui,
        logic: AnnotationLogic,
        views: ViewNavigator,
        attempt: Callable,
        say: Callable[[str], None],
        following: Following,
        effectChanged: Callable[[], None],
    ):
        self._ui, self._logic, self._views, self._say = ui, logic, views, say
        self.strip = ReviewStrip()
        self.strip.setObjectName("reviewStrip")
        ui.stripPlace.layout().addWidget(self.strip)
        self._following = following
        following.jumped = self.jumped  # moves of a propagation are none of the person's
        self._travel, self._travelled = Travel(), None  # and the object that it is about
        for value, text in afterAcceptChoices():
            ui.afterAcceptComboBox.addItem(text, value.value)
        ui.afterAcceptComboBox.connect("activated(int)", self._onAfterAccept)
        self.strip.clicked.connect(lambda position: attempt(self._onStripClicked, position))
        self._entered = False  # badges stand in the views only while the panel is shown
        self.badges, self.outlines = StatusBadges(), MaskOutlines()
        self.correction = CorrectionSection(ui, logic.scene, logic.editor, effectChanged)

    def enter(self) -> None:
        """The panel is shown."""
        self._entered = True
        self.correction.resume()

    def exit(self) -> None:
        """Another module is shown: leave the views to it."""
        self._entered = False
        self.badges.remove()
        self.outlines.remove()
        self.correction.suspend()

    def refresh(self, state: PanelState) -> None:
        """Show how things stand."""
        logic, ui = self._logic, self._ui
        if state.hasScene:
            ui.afterAcceptComboBox.setCurrentIndex(ui.afterAcceptComboBox.findData(logic.parameters.afterAccept.value))
        annotated = logic.current if state.hasObject else None
        if self.correction.isOpen and not state.correcting:
            self.correction.close()
        ui.stripPlace.visible = annotated is not None and not state.correcting
        ui.decisionFrame.visible = not state.correcting
        for widget in (ui.sliceLabel, ui.maskFrame):
            widget.visible = annotated is not None and not state.correcting
        ui.countsLabel.visible = annotated is not None and not state.correcting and bool(state.open or state.due)  # else 'Save' has it
        if annotated is None:
            self.strip.setCells([])
            self.badges.remove()
            self.outlines.remove()
            ui.sliceLabel.text = ui.countsLabel.text = ""
            ui.acceptTogetherButton.visible = False
            return
        doubts = {} if state.running else logic.doubts()  # they are worth their time once all slices have come
        self.strip.setCells([_cell(annotated, position, doubts.get(position)) for position in annotated.session.extent.indices])
        emptied = sum(annotated.isEmptied(position) for position in annotated.session.locked)
        ui.countsLabel.text = countsText(annotated.counts(), emptied, logic.minutesLeft())
        ui.acceptTogetherButton.visible = state.together >= _FEWEST_TOGETHER and not state.correcting
        ui.acceptTogetherButton.text = togetherText(state.together, GOOD_DSC)
        self.refreshSlice()
        if state.correcting:
            index = annotated.stack.index_of(logic.editor.position)
            ui.correctionLabel.text = _("Slice {number} is open. Nothing outside of it can be changed.").format(number=index)

    def refreshSlice(self) -> None:
        """Show which slice the views show, and what is known of it."""
        annotated, ui = self._logic.current, self._ui
        position = self._views.position(annotated)
        self._follow(annotated, position)
        self.strip.setCurrent(position)
        if self._entered:
            self._showInViews(annotated)
        if annotated is None or not annotated.exists:
            ui.sliceLabel.text = ""
        elif position is None:
            ui.sliceLabel.text = _("No view shows a slice of this object.")
        elif position not in annotated.session.extent:
            number = annotated.stack.index_of(position)
            ui.sliceLabel.text = _("slice {number}: outside the object's first and last slice").format(number=number)
        else:
            doubts = {} if self._logic.running else self._logic.doubts()
            ui.sliceLabel.text = _cell(annotated, position, doubts.get(position)).describe()
        if annotated is not None and annotated.exists and not self._logic.editor.active and not isShown(annotated):
            ui.sliceLabel.text += ". " + _("The mask is hidden in the views: G shows it.")

    def slicesShown(self, positions: list[int]) -> None:
        """Slices were computed; cheap, as it happens some times a second."""
        annotated = self._logic.current
        for position in positions:
            if annotated is not None and position in annotated.session.extent:
                self.strip.updateCell(_cell(annotated, position, None))

    # -- what the user does ---------------------------------------------------------------------------------------------------------

    def show(self, position: int) -> None:
        """Let the views show a slice."""
        self._views.goTo(self._logic.current, position)
        self._travel.jumped(position)

    def step(self, by: int) -> None:
        """Let the views show the slice that many on."""
        self._views.step(self._logic.current, by)

    def jumped(self) -> None:
        """The panel, and not the person, let the views show another slice."""
        self._travel.jumped(self._views.position(self._logic.current))

    def accept(self, position: int) -> None:
        """Lock a slice as it is, and go on to the next one."""
        self._follow(self._logic.current, position)
        self._logic.accept(position)
        choice = self._logic.parameters.afterAccept
        if choice is AfterAccept.STAY:
            return
        waiting = self._logic.openSlices()
        doubtful = choice is AfterAccept.MOST_DOUBTFUL
        following = self._logic.nextDoubtful(position) if doubtful and waiting else self._travel.next(position, waiting)
        if following is None:
            self._say(noneLeftText(self._logic.dueSlices()))
        else:
            self.show(following)

    def acceptTogether(self) -> None:
        """Lock the slices that are expected to be good; the views stay where they are."""
        count = self._logic.acceptTogether()
        self._say(_("{count} slices accepted unseen. Undo (Z) takes it back.").format(count=count))

    def here(self, decide: Callable[[int], object]) -> Callable[[], None]:
        """A decision on the slice shown, to be called without arguments."""
        return lambda: decide(self._views.position(self._logic.current))

    def nextDoubtful(self) -> None:
        """Show the slice to look at next."""
        position = self._logic.nextDoubtful(self._views.position(self._logic.current))
        if position is None:
            self._say(_("No slice is in doubt."))
        else:
            self.show(position)

    def correct(self, position: int) -> None:
        """Open a slice in the editor."""
        node = self._logic.beginCorrection(position)
        self._views.turnToVoxels(self._logic.current.volumeNode)  # a brush in an oblique view would miss most of the slice
        self.correction.open(node, self._logic.current.volumeNode)
        self.show(position)
        reveal(self._ui.correctionFrame)

    def finish(self) -> None:
        """Take the drawing; if it is refused, it stays open to be drawn on."""
        self.correction.close()  # ends the effect, which may still have to write its last stroke
        try:
            self._logic.finishCorrection()
        finally:
            editor = self._logic.editor
            if editor.annotated is not None:
                self.correction.open(editor.node, editor.annotated.volumeNode)

    def leave(self) -> None:
        """Forget the drawing."""
        self.correction.close()
        self._logic.leaveCorrection()

    def undo(self) -> None:
        """Take back the last stroke while a slice is edited, else the last step."""
        if self.correction.isOpen:
            self.correction.undo()
        else:
            self._tell(_("Taken back: {step}."), self._showing(self._logic.undo))

    def redo(self) -> None:
        """Do again what was taken back last."""
        if self.correction.isOpen:
            self.correction.redo()
        else:
            self._tell(_("Done again: {step}."), self._showing(self._logic.redo))

    def _showing(self, step: Callable[[], str]) -> str:
        """Do a step; if it locked or unlocked one slice, show that one: the views have gone on since."""
        session = self._logic.current.session
        before = session.locked
        label = step()
        changed = before ^ session.locked
        if len(changed) == 1 and changed <= set(session.extent.indices):
            self.show(*changed)
        return label

    def _follow(self, annotated: AnnotatedSegment | None, position: int | None) -> None:
        """Keep track of the way that the person goes through the slices."""
        if annotated is not self._travelled:
            self._travelled = annotated
            self._travel.forget()
        self._travel.shown(position)

    def _onAfterAccept(self, row: int) -> None:
        if self._logic.hasParameters:
            self._logic.parameters.afterAccept = AfterAccept(self._ui.afterAcceptComboBox.itemData(row))

    def _onStripClicked(self, position: int) -> None:
        self._following.stop()
        self._views.goTo(self._logic.current, position)

    def viewMoved(self) -> None:
        """A slice view changed; quick."""
        self.outlines.viewMoved()

    def _showInViews(self, annotated: AnnotatedSegment | None) -> None:
        """Show the status of the slices in the views themselves: a frame and a word, and the color of the mask's outline."""
        shown = {
            name: (position, lookOf(annotated.session.status(position), annotated.isEmptied(position)))
            for name, position in self._views.shownSlices(annotated).items()
            if position in annotated.session.extent
        }
        self.badges.show({name: (look, annotated.stack.index_of(position)) for name, (position, look) in shown.items()})
        drawn = bool(shown) and isShown(annotated) and not self._logic.editor.active
        self.outlines.show(annotated, shown if drawn else {})

    def _tell(self, text: str, step: str) -> None:
        if step:
            self._say(text.format(step=step))


def _cell(annotated: AnnotatedSegment, position: int, doubt) -> Cell:
    session = annotated.session
    return Cell(
        position=position,
        label=annotated.stack.index_of(position),
        status=session.status(position),
        emptied=annotated.isEmptied(position),
        prompted=position in session.prompts,
        doubt=None if doubt is None else doubt.value,
        reason="" if doubt is None else doubt.reason,
        expected="" if doubt is None or doubt.expected is None else doubt.expected.text,
    )
