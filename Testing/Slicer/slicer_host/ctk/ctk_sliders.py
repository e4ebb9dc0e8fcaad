"""Stand-ins for CTK's sliders and spin boxes of floating point numbers. Imports PySide6 and the registry."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

from ..registry import stand_in

_STEPS = 10_000_000  # positions of the integer slider inside a slider of floating point numbers


class _NumberWidget(QWidget):
    """What spin box, slider and slider widget share: range, step, decimals, a value within the range."""

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._minimum, self._maximum, self._value = 0.0, 99.0, 0.0
        self._single_step, self._page_step = 1.0, 10.0
        self._decimals = 2
        self._tracking = True
        self._options: dict[str, Any] = {}

    def minimum(self) -> float:
        return self._minimum

    def maximum(self) -> float:
        return self._maximum

    def value(self) -> float:
        return self._value

    def singleStep(self) -> float:
        return self._single_step

    def pageStep(self) -> float:
        return self._page_step

    def decimals(self) -> int:
        return self._decimals

    def hasTracking(self) -> bool:
        return self._tracking

    def setTracking(self, enable: bool) -> None:
        self._tracking = enable

    def setMinimum(self, minimum: float) -> None:
        self._set_range(minimum, max(minimum, self._maximum))

    def setMaximum(self, maximum: float) -> None:
        self._set_range(min(maximum, self._minimum), maximum)

    def setSingleStep(self, step: float) -> None:
        self._single_step = step
        self._update_parts()

    def setPageStep(self, step: float) -> None:
        self._page_step = step

    def setValue(self, value: float) -> None:
        value = min(max(round(value, self._decimals), self._minimum), self._maximum)
        if value != self._value:
            self._value = value
            self._update_parts()
            self.valueChanged.emit(value)

    def _set_range(self, minimum: float, maximum: float) -> None:
        self._minimum, self._maximum = minimum, maximum
        self._update_parts()
        self.setValue(self._value)

    def _update_parts(self) -> None:
        """Show range and value in the widgets inside, without signals from them."""
        raise NotImplementedError


@stand_in("ctkDoubleSpinBox", {"valueChanged(QString)": "valueTextChanged"})
class CtkDoubleSpinBox(_NumberWidget):
    """A spin box; the number of decimals can follow the value in CTK, here it stays as set."""

    valueTextChanged = Signal(object)
    editingFinished = Signal()
    decimalsChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QDoubleSpinBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._update_parts()
        self._box.valueChanged.connect(self.setValue)
        self._box.editingFinished.connect(self.editingFinished)
        self.valueChanged.connect(lambda _value: self.valueTextChanged.emit(self._box.text()))
        self.setFocusProxy(self._box)

    def setDecimals(self, decimals: int) -> None:
        if decimals != self._decimals:
            self._decimals = decimals
            self._update_parts()
            self.decimalsChanged.emit(decimals)
            self.setValue(self._value)

    def setValueIfDifferent(self, value: float) -> None:
        self.setValue(value)

    def setValueAlways(self, value: float) -> None:
        self.setValue(value)

    def stepUp(self) -> None:
        self._box.stepUp()

    def stepDown(self) -> None:
        self._box.stepDown()

    def prefix(self) -> str:
        return self._box.prefix()

    def setPrefix(self, prefix: str) -> None:
        self._box.setPrefix(prefix)

    def suffix(self) -> str:
        return self._box.suffix()

    def setSuffix(self, suffix: str) -> None:
        self._box.setSuffix(suffix)

    def cleanText(self) -> str:
        return self._box.cleanText()

    def isReadOnly(self) -> bool:
        return self._box.isReadOnly()

    def setReadOnly(self, read_only: bool) -> None:
        self._box.setReadOnly(read_only)

    def alignment(self) -> Qt.AlignmentFlag:
        return self._box.alignment()

    def setAlignment(self, alignment: Qt.AlignmentFlag) -> None:
        self._box.setAlignment(alignment)

    def hasFrame(self) -> bool:
        return self._box.hasFrame()

    def setFrame(self, frame: bool) -> None:
        self._box.setFrame(frame)

    def _update_parts(self) -> None:
        blocked = self._box.blockSignals(True)
        self._box.setDecimals(self._decimals)
        self._box.setRange(self._minimum, self._maximum)
        self._box.setSingleStep(self._single_step)
        self._box.setValue(self._value)
        self._box.blockSignals(blocked)


@stand_in("ctkDoubleSlider")
class CtkDoubleSlider(_NumberWidget):
    """A slider of floating point numbers."""

    sliderMoved = Signal(object)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._decimals = 6
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, _STEPS)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._update_parts()
        self._slider.valueChanged.connect(lambda position: self.setValue(self._at(position)))
        self._slider.sliderMoved.connect(lambda position: self.sliderMoved.emit(self._at(position)))
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)

    def orientation(self) -> Qt.Orientation:
        return self._slider.orientation()

    def setOrientation(self, orientation: Qt.Orientation) -> None:
        self._slider.setOrientation(orientation)

    def sliderPosition(self) -> float:
        return self._at(self._slider.sliderPosition())

    def setSliderPosition(self, value: float) -> None:
        self.setValue(value)

    def _set_range(self, minimum: float, maximum: float) -> None:
        super()._set_range(minimum, maximum)
        self.rangeChanged.emit(minimum, maximum)

    def _at(self, position: int) -> float:
        return self._minimum + (self._maximum - self._minimum) * position / _STEPS

    def _update_parts(self) -> None:
        blocked = self._slider.blockSignals(True)
        width = (self._maximum - self._minimum) or 1.0
        self._slider.setSingleStep(max(1, round(_STEPS * self._single_step / width)))
        self._slider.setPageStep(max(1, round(_STEPS * self._page_step / width)))
        self._slider.setValue(round(_STEPS * (self._value - self._minimum) / width))
        self._slider.blockSignals(blocked)


@stand_in("ctkSliderWidget")
class CtkSliderWidget(_NumberWidget):
    """A slider with a spin box beside it."""

    valueIsChanging = Signal(object)
    decimalsChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._box = CtkDoubleSlider(self), CtkDoubleSpinBox(self)
        self._slider.setObjectName("Slider")
        self._box.setObjectName("SpinBox")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._dragged = False
        self._update_parts()
        self._box.valueChanged.connect(self.setValue)
        self._slider.valueChanged.connect(self._follow_slider)
        self._slider.sliderPressed.connect(lambda: self._drag(True))
        self._slider.sliderReleased.connect(lambda: self._drag(False))

    def setDecimals(self, decimals: int) -> None:
        if decimals != self._decimals:
            self._decimals = decimals
            self._update_parts()
            self.decimalsChanged.emit(decimals)

    def reset(self) -> None:
        self.setValue(0.0)

    def prefix(self) -> str:
        return self._box.prefix()

    def setPrefix(self, prefix: str) -> None:
        self._box.setPrefix(prefix)

    def suffix(self) -> str:
        return self._box.suffix()

    def setSuffix(self, suffix: str) -> None:
        self._box.setSuffix(suffix)

    def isSpinBoxVisible(self) -> bool:
        return not self._box.isHidden()

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._box.setVisible(visible)

    def _drag(self, pressed: bool) -> None:
        self._dragged = pressed
        if not pressed:
            self.setValue(self._slider.value())

    def _follow_slider(self, value: float) -> None:
        if self._dragged and not self._tracking:
            self.valueIsChanging.emit(value)
        else:
            self.setValue(value)

    def _update_parts(self) -> None:
        for part in (self._slider, self._box):
            blocked = part.blockSignals(True)
            part._set_range(self._minimum, self._maximum)
            part.setSingleStep(self._single_step)
            if part is self._box:
                part.setDecimals(self._decimals)
            part.setValue(self._value)
            part.blockSignals(blocked)
