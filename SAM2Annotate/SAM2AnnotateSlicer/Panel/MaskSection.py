"""MaskSection: the buttons that say how masks are drawn: shown, as outlines, how strong, in 3-D. Imports the logic and MaskDisplay."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from ..CheckedButton import setChecked
from ..Review.Logic import AnnotationLogic
from ..Views.MaskDisplay import Revealer, changeOpacity, isOutlined, isShown, segmentations, setOutlined, setShown, shownSegments
from ..Views.ObjectSurface import ObjectSurface
from .PanelState import PanelState


class MaskSection:
    """Shows how masks are drawn, and changes it.

    Args:
        ui: the panel's widgets by name.
        logic: the steps.
        say: shows a message.
    """

    def __init__(self, ui, logic: AnnotationLogic, say: Callable[[str], None]):
        self._ui, self._logic, self._say = ui, logic, say
        self.surface = ObjectSurface(logic.scene)
        self.revealer = Revealer(self._isBeingCorrected)
        for button in (ui.showMaskButton, ui.outlineOnlyButton, ui.show3DButton):
            button.checkable = True

    def refresh(self, state: PanelState) -> None:
        """Show how things stand."""
        annotated = self._logic.current if state.hasObject else None
        setChecked(self._ui.showMaskButton, annotated is not None and isShown(annotated))
        setChecked(self._ui.outlineOnlyButton, annotated is not None and isOutlined(annotated))
        setChecked(self._ui.show3DButton, self.surface.wanted)
        self.surface.follow(annotated, state.running or state.correcting)

    def reveal(self) -> None:
        """Show the mask of every object of the scene, whatever hides it in the next half second."""
        self.revealer.begin((node, None) for node in segmentations())

    def segmentationCame(self, node) -> None:
        """A segmentation is new in the scene: its masks are to be seen."""
        self.revealer.begin([(node, None)])

    def segmentationLeaves(self, node) -> None:
        """A segmentation is leaving the scene: what is drawn of the others is to stay so."""
        self.revealer.begin((other, shownSegments(other)) for other in segmentations() if other is not node)

    def release(self) -> None:
        """Let go of every node."""
        self.revealer.stop()
        self.surface.release()

    def cleanup(self) -> None:
        """The panel goes."""
        self.revealer.stop()
        self.surface.hide()

    # -- what the user does ---------------------------------------------------------------------------------------------------------

    def toggleShown(self) -> None:
        """Hide the masks to see what lies under them, or show them again."""
        annotated = self._logic.current
        self.revealer.stop()  # the user has seen them
        setShown(annotated.segmentationNode, annotated.segmentId, not isShown(annotated))

    def toggleOutlined(self) -> None:
        """Draw outlines only, or fill them again."""
        setOutlined(self._logic.current, not isOutlined(self._logic.current))

    def fill(self, steps: int) -> None:
        """Fill masks more strongly, or more faintly."""
        annotated = self._logic.current
        if isOutlined(annotated):
            setOutlined(annotated, False)
        self._say(_("Masks are filled to {percent} %.").format(percent=round(100 * changeOpacity(annotated, steps))))

    def toggle3D(self) -> None:
        """Show the object in the 3-D views, or none."""
        if self.surface.wanted:
            self.surface.hide()
            return
        self.surface.show(self._logic.current)
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None or layoutManager.threeDViewCount == 0:
            self._say(_("The layout has no 3-D view. Choose one that has, e.g. 'Four-Up', in Slicer's toolbar."))

    def _isBeingCorrected(self, node, segmentId: str) -> bool:
        open_ = self._logic.editor.annotated
        return open_ is not None and (open_.segmentationNode, open_.segmentId) == (node, segmentId)
