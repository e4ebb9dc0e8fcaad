"""The pages of options that effects have in the segment editor: nothing but their widgets, as wide as the real ones. Imports PySide6.

They are what widens a panel that holds the editor: from 410 to 665 pixels with five effects in a row.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
)

from ..ctk.ctk_ranges import CtkRangeWidget

_DIAMETERS = (1, 3, 5, 10, 20, 40)
_QUICK_WIDTH = 22  # pixels of a button for one of them


def options_of(effect_name: str) -> QFrame:
    """The page of an effect; one without widgets for those that have no page here."""
    frame = QFrame()
    frame.setObjectName(f"{effect_name}OptionsFrame")
    layout = QVBoxLayout(frame)
    make = {"Paint": _brush, "Erase": _brush, "Threshold": _threshold}.get(effect_name)
    if make is not None:
        make(layout, effect_name)
    return frame


def _brush(layout: QVBoxLayout, effect_name: str) -> None:
    diameter = QHBoxLayout()
    diameter.addWidget(QLabel("Diameter:"))
    diameter.addWidget(QDoubleSpinBox())
    for text in [*(str(one) for one in _DIAMETERS), "%"]:
        button = QToolButton()
        button.setText(text)
        button.setFixedWidth(_QUICK_WIDTH)
        diameter.addWidget(button)
    layout.addLayout(diameter)
    layout.addWidget(QSlider(Qt.Orientation.Horizontal))
    checks = QGridLayout()
    third = "Color smudge" if effect_name == "Paint" else "Erase all segments"
    for at, text in enumerate(("Sphere brush", "Edit in 3D views", third)):
        checks.addWidget(QCheckBox(text), at // 2, at % 2)
    layout.addLayout(checks)


def _threshold(layout: QVBoxLayout, _effect_name: str) -> None:
    layout.addWidget(QLabel("Threshold Range:"))
    layout.addWidget(CtkRangeWidget())
    automatic = QGridLayout()
    for row, widget in enumerate((QComboBox(), QComboBox(), QPushButton("Set"))):
        automatic.addWidget(widget, row, 0)
    layout.addLayout(automatic)
    histogram = QFrame()
    histogram.setFixedHeight(230)  # region shape, histogram, lower, upper
    layout.addWidget(histogram)
    layout.addWidget(QPushButton("Use for masking"))
    layout.addWidget(QPushButton("Apply"))
