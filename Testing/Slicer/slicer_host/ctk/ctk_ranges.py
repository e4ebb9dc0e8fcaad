"""Stand-ins for CTK's slider with two handles, bare and with spin boxes. Imports PySide6, the other number widgets and the registry."""

from __future__ import annotations

import sys

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QSlider, QWidget

from ..registry import stand_in
from .ctk_sliders import CtkDoubleSpinBox

_HANDLE = 10.0  # logical pixels


@stand_in("ctkDoubleRangeSlider")
class CtkDoubleRangeSlider(QWidget):
    """Two values between a minimum and a maximum; as in CTK, one value that is set beyond the other takes that along."""

    minimumValueChanged = Signal(object)
    maximumValueChanged = Signal(object)
    valuesChanged = Signal(object, object)
    minimumPositionChanged = Signal(object)
    maximumPositionChanged = Signal(object)
    positionsChanged = Signal(object, object)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._minimum, self._maximum = 0.0, 99.0
        self._low, self._high = 0.0, 99.0
        self._single_step = 1.0
        self._tracking, self._symmetric = True, False
        self._orientation = Qt.Orientation.Horizontal
        self._tick_interval, self._tick_position = 0.0, QSlider.TickPosition.NoTicks
        self._dragged = ""
        self._before_drag = (0.0, 0.0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(84, 22)

    def minimum(self) -> float:
        return self._minimum

    def maximum(self) -> float:
        return self._maximum

    def minimumValue(self) -> float:
        return self._low

    def maximumValue(self) -> float:
        return self._high

    def minimumPosition(self) -> float:
        return self._low

    def maximumPosition(self) -> float:
        return self._high

    def singleStep(self) -> float:
        return self._single_step

    def tracking(self) -> bool:
        return self._tracking

    def orientation(self) -> Qt.Orientation:
        return self._orientation

    def tickInterval(self) -> float:
        return self._tick_interval

    def tickPosition(self) -> QSlider.TickPosition:
        return self._tick_position

    def symmetricMoves(self) -> bool:
        return self._symmetric

    def setMinimum(self, minimum: float) -> None:
        self.setRange(minimum, max(minimum, self._maximum))

    def setMaximum(self, maximum: float) -> None:
        self.setRange(min(maximum, self._minimum), maximum)

    def setRange(self, minimum: float, maximum: float) -> None:
        if (minimum, maximum) == (self._minimum, self._maximum):
            return
        self._minimum, self._maximum = minimum, maximum
        self.rangeChanged.emit(minimum, maximum)
        self.setValues(self._low, self._high)
        self.update()

    def setMinimumValue(self, value: float) -> None:
        self.setValues(value, max(self._high, value))

    def setMaximumValue(self, value: float) -> None:
        self.setValues(min(self._low, value), value)

    def setMinimumPosition(self, value: float) -> None:
        self.setMinimumValue(value)

    def setMaximumPosition(self, value: float) -> None:
        self.setMaximumValue(value)

    def setValues(self, low: float, high: float) -> None:
        low, high = min(low, high), max(low, high)
        low, high = (min(max(value, self._minimum), self._maximum) for value in (low, high))
        before = (self._low, self._high)
        if (low, high) == before:
            return
        self._low, self._high = low, high
        self.update()
        self.positionsChanged.emit(low, high)
        if not self._dragged or self._tracking:
            self._tell(before)

    def setSingleStep(self, step: float) -> None:
        low, high = self._minimum, self._maximum
        if low != high and not sys.float_info.epsilon <= step <= high - low:  # CTK prints this, and keeps the step of before
            raise ValueError(f"ctkDoubleRangeSlider::setSingleStep( {step:g} ) is outside of valid bounds.")
        self._single_step = step

    def setTracking(self, enable: bool) -> None:
        self._tracking = enable

    def setOrientation(self, orientation: Qt.Orientation) -> None:
        self._orientation = orientation
        self.update()

    def setTickInterval(self, interval: float) -> None:
        self._tick_interval = interval

    def setTickPosition(self, position: QSlider.TickPosition) -> None:
        self._tick_position = position

    def setSymmetricMoves(self, symmetric: bool) -> None:
        self._symmetric = symmetric

    def _tell(self, before: tuple[float, float]) -> None:
        self.valuesChanged.emit(self._low, self._high)
        if self._low != before[0]:
            self.minimumPositionChanged.emit(self._low)
            self.minimumValueChanged.emit(self._low)
        if self._high != before[1]:
            self.maximumPositionChanged.emit(self._high)
            self.maximumValueChanged.emit(self._high)

    def _pixel(self, value: float) -> float:
        span = (self._maximum - self._minimum) or 1.0
        return _HANDLE / 2 + (value - self._minimum) / span * (self.width() - _HANDLE)

    def _value(self, pixel: float) -> float:
        fraction = (pixel - _HANDLE / 2) / max(self.width() - _HANDLE, 1.0)
        value = self._minimum + fraction * (self._maximum - self._minimum)
        return round(value / self._single_step) * self._single_step if self._single_step else value

    def mousePressEvent(self, event: QMouseEvent) -> None:
        pixel = event.position().x()
        to_low, to_high = abs(pixel - self._pixel(self._low)), abs(pixel - self._pixel(self._high))
        self._dragged = "low" if to_low < to_high or (to_low == to_high and pixel < self._pixel(self._low)) else "high"
        self._before_drag = (self._low, self._high)
        self.sliderPressed.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        value = self._value(event.position().x())
        if self._dragged == "low":
            self.setValues(min(value, self._high), self._high)
        elif self._dragged == "high":
            self.setValues(self._low, max(value, self._low))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if not self._dragged:
            return
        self._dragged = ""
        self.sliderReleased.emit()
        if not self._tracking and (self._low, self._high) != self._before_drag:
            self._tell(self._before_drag)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.height() / 2
        colors = self.palette()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.mid())
        painter.drawRoundedRect(QRectF(2, middle - 2, self.width() - 4, 4), 2, 2)
        painter.setBrush(colors.highlight() if self.isEnabled() else colors.dark())
        painter.drawRect(QRectF(QPointF(self._pixel(self._low), middle - 2), QPointF(self._pixel(self._high), middle + 2)))
        painter.setPen(QPen(colors.shadow().color(), 1))
        painter.setBrush(colors.button())
        for value in (self._low, self._high):
            painter.drawRoundedRect(QRectF(self._pixel(value) - _HANDLE / 2 + 0.5, middle - 8.5, _HANDLE - 1, 17), 2, 2)
        painter.end()


@stand_in("ctkRangeWidget")
class CtkRangeWidget(QWidget):
    """A slider with two handles between two spin boxes."""

    minimumValueChanged = Signal(object)
    minimumValueIsChanging = Signal(object)
    maximumValueChanged = Signal(object)
    maximumValueIsChanging = Signal(object)
    valuesChanged = Signal(object, object)
    rangeChanged = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = CtkDoubleRangeSlider(self)
        self._low, self._high = CtkDoubleSpinBox(self), CtkDoubleSpinBox(self)
        self._slider.setObjectName("Slider")
        self._low.setObjectName("MinimumSpinBox")
        self._high.setObjectName("MaximumSpinBox")
        layout = QGridLayout(self)
        layout.setObjectName("GridLayout")
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._low, 0, 0)
        layout.addWidget(self._slider, 0, 1)
        layout.addWidget(self._high, 0, 2)
        layout.setColumnStretch(1, 1)
        self._decimals = 2
        self._update_boxes()
        self._slider.minimumValueChanged.connect(self.minimumValueChanged)
        self._slider.maximumValueChanged.connect(self.maximumValueChanged)
        self._slider.valuesChanged.connect(self._on_values_changed)
        self._slider.rangeChanged.connect(self._on_range_changed)
        self._low.valueChanged.connect(self.setMinimumValue)
        self._high.valueChanged.connect(self.setMaximumValue)

    def sizeHint(self) -> QSize:
        return QSize(182, max(26, self._low.sizeHint().height()))

    def minimum(self) -> float:
        return self._slider.minimum()

    def setMinimum(self, minimum: float) -> None:
        self._slider.setMinimum(minimum)

    def maximum(self) -> float:
        return self._slider.maximum()

    def setMaximum(self, maximum: float) -> None:
        self._slider.setMaximum(maximum)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._slider.setRange(minimum, maximum)

    def minimumValue(self) -> float:
        return self._slider.minimumValue()

    def maximumValue(self) -> float:
        return self._slider.maximumValue()

    def setMinimumValue(self, value: float) -> None:
        self._slider.setMinimumValue(round(value, self._decimals))

    def setMaximumValue(self, value: float) -> None:
        self._slider.setMaximumValue(round(value, self._decimals))

    def setValues(self, low: float, high: float) -> None:
        self._slider.setValues(round(low, self._decimals), round(high, self._decimals))

    def reset(self) -> None:
        self.setValues(self.minimum(), self.maximum())

    def decimals(self) -> int:
        return self._decimals

    def setDecimals(self, decimals: int) -> None:
        self._decimals = decimals
        self._update_boxes()

    def singleStep(self) -> float:
        return self._slider.singleStep()

    def setSingleStep(self, step: float) -> None:
        self._slider.setSingleStep(step)
        self._update_boxes()

    def prefix(self) -> str:
        return self._low.prefix()

    def setPrefix(self, prefix: str) -> None:
        self._low.setPrefix(prefix)
        self._high.setPrefix(prefix)

    def suffix(self) -> str:
        return self._low.suffix()

    def setSuffix(self, suffix: str) -> None:
        self._low.setSuffix(suffix)
        self._high.setSuffix(suffix)

    def symmetricMoves(self) -> bool:
        return self._slider.symmetricMoves()

    def setSymmetricMoves(self, symmetric: bool) -> None:
        self._slider.setSymmetricMoves(symmetric)

    def tracking(self) -> bool:
        return self._slider.tracking()

    def setTracking(self, enable: bool) -> None:
        self._slider.setTracking(enable)

    def _on_values_changed(self, low: float, high: float) -> None:
        self._update_boxes()
        self.valuesChanged.emit(low, high)

    def _on_range_changed(self, minimum: float, maximum: float) -> None:
        self._update_boxes()
        self.rangeChanged.emit(minimum, maximum)

    def _update_boxes(self) -> None:
        for box, value in ((self._low, self.minimumValue()), (self._high, self.maximumValue())):
            blocked = box.blockSignals(True)
            box.setDecimals(self._decimals)
            box._set_range(self.minimum(), self.maximum())
            box.setSingleStep(self.singleStep())
            box.setValue(value)
            box.blockSignals(blocked)
