"""RangeFill: the tool 'Threshold' of a correction: a range of gray values, seen as it is chosen, then filled. Imports RangeOnSlice."""

from __future__ import annotations

from ..Coalescer import Coalescer
from ..Review.CorrectionEditor import CorrectionEditor
from ..Review.RangeOnSlice import RangeOnSlice

_PREVIEW_MILLISECONDS = 40


class RangeFill:
    """The range and its preview.

    Args:
        ui: the panel's widgets by name.
        scene: the MRML scene.
        drawing: holds the slice that is open.
    """

    def __init__(self, ui, scene, drawing: CorrectionEditor):
        self._ui = ui
        self._range = RangeOnSlice(scene, drawing)
        self._preview = Coalescer(self._show, _PREVIEW_MILLISECONDS)
        self.active = False
        ui.grayRange.connect("valuesChanged(double,double)", self._onRange)
        ui.nearBoxCheckBox.connect("toggled(bool)", self._onNearBox)

    def start(self) -> None:
        """Offer the slice's gray values, and show what lies in the range of what is marked."""
        slider, (least, greatest) = self._ui.grayRange, self._range.limits()
        low, high = self._range.suggested()
        fraction = greatest - least < 10  # e.g. an image of 0 to 1
        blocked = slider.blockSignals(True)
        slider.decimals = 3 if fraction else 0
        step = 0.001 if fraction else 1
        slider.setRange(least, max(greatest, least + step))
        slider.singleStep = step  # a step that is wider than the range would be refused
        slider.setValues(low, high)
        slider.blockSignals(blocked)
        self.active = True
        self._show()

    def stop(self) -> None:
        """Take the preview away."""
        self.active = False
        self._preview.stop()
        self._range.hide()

    def check(self) -> None:
        """Raises PromptError if nothing lies in the range."""
        self._range.requireSome(*self._asked())

    def fill(self) -> None:
        """Make the drawing what lies in the range."""
        self._range.fill(*self._asked())

    def _asked(self) -> tuple[float, float, bool]:
        slider = self._ui.grayRange
        return slider.minimumValue, slider.maximumValue, self._ui.nearBoxCheckBox.isChecked()

    def _show(self) -> None:
        if self.active:
            self._range.show(self._range.inRange(*self._asked()))

    def _onRange(self, _low: float, _high: float) -> None:
        self._preview.ask()

    def _onNearBox(self, _checked: bool) -> None:
        self._preview.ask()
