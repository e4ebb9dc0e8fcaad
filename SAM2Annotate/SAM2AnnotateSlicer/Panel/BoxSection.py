"""BoxSection: the controls of 'Box and extent' and 'Propagate'. Imports the logic, BoxTool and PointTool."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import PromptError, SAM2AnnotateError
from SAM2AnnotateLib.geometry import Extent

from ..CheckedButton import setChecked
from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Views.BoxTool import BoxTool
from ..Views.Following import Following
from ..Views.PointTool import PointTool
from ..Views.ViewNavigator import ViewNavigator
from .PanelState import PanelState
from .WidgetText import estimateText, progressText, stoppingText


class BoxSection:
    """Box, points, first and last slice, and the propagation.

    Args:
        ui: the panel's widgets by name.
        logic: the steps.
        views: the slice views.
        boxTool, pointTool: what the mouse does in the views.
        attempt: calls a step and shows what goes wrong.
        say: shows a message.
    """

    def __init__(
        self,
        ui,
        logic: AnnotationLogic,
        views: ViewNavigator,
        boxTool: BoxTool,
        pointTool: PointTool,
        attempt: Callable,
        say: Callable,
    ):
        self._ui, self._logic, self._views = ui, logic, views
        self._boxTool, self._pointTool = boxTool, pointTool
        self._attempt, self._say = attempt, say
        self.following = Following(logic, views, lambda: ui.followCheckBox.checked)
        for button in (ui.drawBoxButton, ui.addPositiveButton, ui.addNegativeButton):
            button.checkable = True
        ui.extentRange.connect("valuesChanged(double,double)", self._onExtent)

    def refresh(self, state: PanelState) -> None:
        """Show how things stand."""
        ui, logic = self._ui, self._logic
        self.refreshTools(state.hasScene)
        annotated = logic.current if state.hasObject else None
        if annotated is not None:
            self._showExtent(annotated)
        self.refreshProgress(state.running)
        if not state.running:
            ui.estimateLabel.text = estimateText(state.due, logic.estimateSeconds()) if state.hasObject else ""
        ui.estimateLabel.visible = state.hasObject and bool(state.due) and not state.running

    def refreshTools(self, hasScene: bool) -> None:
        """Show which tool has the mouse."""
        placing = self._pointTool.placing if hasScene else None
        setChecked(self._ui.drawBoxButton, self._boxTool.active)
        setChecked(self._ui.addPositiveButton, placing is True)
        setChecked(self._ui.addNegativeButton, placing is False)

    def refreshProgress(self, running: bool) -> None:
        """Show how far the propagation is."""
        ui, (done, total) = self._ui, self._logic.progress
        ui.progressBar.visible = running
        if running:
            ui.progressBar.setRange(0, max(total, 1))
            ui.progressBar.setValue(done)
            stopping = self._logic.stopping
            ui.estimateLabel.text = stoppingText(done, total) if stopping else progressText(done, total, self._logic.estimateSeconds())
            ui.progressBar.setFormat(ui.estimateLabel.text)

    # -- what the user does ---------------------------------------------------------------------------------------------------------

    def drawBox(self) -> None:
        """Let the next drag draw a box; draw none if one was about to be drawn."""
        if self._boxTool.active:
            self._boxTool.cancel()
            return
        turned = self._views.turnToVoxels(self._logic.volumeNode)
        self._boxTool.start()
        if turned:
            self._say(
                _("The volume is oblique, so the views were turned onto its slices. Drag a box around the object in any of them."),
                holds=lambda: self._boxTool.active,
            )

    def addPoints(self, positive: bool) -> None:
        """Place points, or end it."""
        self._boxTool.cancel()
        self._pointTool.toggle(positive)

    def endHere(self, last: bool) -> None:
        """Make the slice shown the first or last one."""
        position = self._views.position(self._logic.current)
        if position is None:
            raise PromptError(_("No view shows a slice of this volume in the object's direction."))
        self._logic.setExtentEnd(position, last)

    def goToCenter(self) -> None:
        """Show the slice with the box."""
        self._views.goTo(self._logic.current, self._logic.current.center)

    def propagate(self) -> None:
        """Compute; the views follow."""
        self.following.begin()
        try:
            self._logic.propagate()
        except SAM2AnnotateError:
            self.following.stop()
            raise

    def cancel(self) -> None:
        """Stop computing; the views stay where they are."""
        self.following.stop()
        self._logic.cancel()

    def _onExtent(self, low: float, high: float) -> None:
        annotated = self._logic.current
        if annotated is not None:
            extent = annotated.stack.extent_of(Extent(round(low), round(high)))
            if not self._attempt(self._logic.setExtent, extent):
                self._showExtent(annotated)

    def _showExtent(self, annotated: AnnotatedSegment) -> None:
        slider, ends = self._ui.extentRange, annotated.stack.extent_of(annotated.session.extent)
        blocked = slider.blockSignals(True)
        slider.setRange(0, annotated.stack.shape_src[0] - 1)
        slider.setValues(min(ends.first, ends.last), max(ends.first, ends.last))
        slider.blockSignals(blocked)
