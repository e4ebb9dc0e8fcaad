"""How Slicer looks: sizes of its widgets, its light and dark colors, its screen. Imports PySide6.

Sizes are those that a real Slicer 5.12.3 told of the module's widgets (`test_host_sizes.py` compares them); colors are those of its styles.
"""

from __future__ import annotations

import json
from pathlib import Path

from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QProxyStyle, QStyle, QWidget

SMALL_SCREEN, LARGE_SCREEN = (1366, 768), (1920, 1200)
_FONT_PIXELS = 13  # Qt 5 rounds the advance of each letter up: its 12 pixels are as wide as 13 here
_TEXT_BUTTON, _ICON_BUTTON = 25, 30  # pixels of height
_BUTTON_TRIM = 6  # pixels that Fusion's margins are wider than Slicer's
_METRICS = {
    QStyle.PixelMetric.PM_LayoutLeftMargin: 6,
    QStyle.PixelMetric.PM_LayoutTopMargin: 6,
    QStyle.PixelMetric.PM_LayoutRightMargin: 6,
    QStyle.PixelMetric.PM_LayoutBottomMargin: 6,
    QStyle.PixelMetric.PM_LayoutHorizontalSpacing: 3,
    QStyle.PixelMetric.PM_LayoutVerticalSpacing: 3,
    QStyle.PixelMetric.PM_SliderLength: 12,
    QStyle.PixelMetric.PM_ButtonIconSize: 24,
}
_HEIGHTS = {
    QStyle.ContentsType.CT_CheckBox: 23,
    QStyle.ContentsType.CT_ComboBox: 25,
    QStyle.ContentsType.CT_LineEdit: 25,
    QStyle.ContentsType.CT_SpinBox: 25,
}  # pixels
_MARGINS = tuple(_METRICS)[:4]
_IN_SECTION = 4  # pixels of margin in a ctkCollapsibleButton

_DARK = {
    "Window": "#323232",
    "WindowText": "#ffffff",
    "Base": "#1e1e1e",
    "AlternateBase": "#323232",
    "ToolTipBase": "#ffffff",
    "ToolTipText": "#323232",
    "Text": "#ffffff",
    "Button": "#323232",
    "ButtonText": "#ffffff",
    "BrightText": "#ff0000",
    "Light": "#828284",
    "Midlight": "#5a5a5b",
    "Dark": "#232323",
    "Mid": "#2b2b2b",
    "Shadow": "#141414",
    "Highlight": "#3ca4ff",
    "HighlightedText": "#ffffff",
    "Link": "#3ca4ff",
    "PlaceholderText": "#a0a0a0",
}
_DARK_DISABLED = {"WindowText": "#6d6d6d", "Text": "#6d6d6d", "ButtonText": "#b4b4b4", "Highlight": "#505050", "HighlightedText": "#6d6d6d"}
_LIGHT = {
    "Window": "#ffffff",
    "WindowText": "#000000",
    "Base": "#ffffff",
    "AlternateBase": "#e4e4fe",
    "Text": "#000000",
    "PlaceholderText": "#808080",
    "Button": "#fcfcfc",
    "ButtonText": "#000000",
    "Light": "#c8c8c8",
    "Midlight": "#e6e6e6",
    "Dark": "#aaaaaa",
    "Mid": "#c8c8c8",
    "Shadow": "#5a5a5a",
}
_LIGHT_DISABLED = {"WindowText": "#787878", "Text": "#787878", "ButtonText": "#787878"}


class SlicerStyle(QProxyStyle):
    """Fusion with the margins of Slicer's style."""

    def __init__(self) -> None:
        super().__init__("fusion")

    def pixelMetric(self, metric, option=None, widget=None):
        if metric in _METRICS:
            if metric in _MARGINS and isinstance(widget, QWidget) and widget.metaObject().className() == "CtkCollapsibleButton":
                return _IN_SECTION
            return _METRICS[metric]
        return super().pixelMetric(metric, option, widget)

    def sizeFromContents(self, kind, option, size, widget=None):
        found = super().sizeFromContents(kind, option, size, widget)
        if kind == QStyle.ContentsType.CT_PushButton and widget is not None:
            bare = widget.icon().isNull()
            return QSize(max(80, found.width() - _BUTTON_TRIM), max(found.height(), _TEXT_BUTTON if bare else _ICON_BUTTON))
        height = _HEIGHTS.get(kind)
        return found if height is None else QSize(found.width(), max(found.height(), height))


def write_screen(folder: Path) -> str:
    """Write what Qt's offscreen platform reads its screen from; returns the platform's name with it."""
    width, height = SMALL_SCREEN
    screen = {"name": "Screen", "x": 0, "y": 0, "width": width, "height": height, "logicalDpi": 96, "logicalBaseDpi": 96, "dpr": 1}
    path = folder / "screen.json"
    path.write_text(json.dumps({"synchronousWindowSystemEvents": False, "windowFrameMargins": False, "screens": [screen]}))
    return f"offscreen:configfile={path}"


def dress(app: QApplication) -> None:
    """Give the application Slicer's style, font and light colors."""
    app.setStyle(SlicerStyle())
    font = app.font()
    font.setPixelSize(_FONT_PIXELS)
    app.setFont(font)
    set_dark(False)


def set_dark(dark: bool) -> None:
    """Take the dark colors of Slicer's styles, or the light ones."""
    palette = QPalette()
    for roles, groups in (
        (_DARK if dark else _LIGHT, (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive, QPalette.ColorGroup.Disabled)),
        (_DARK_DISABLED if dark else _LIGHT_DISABLED, (QPalette.ColorGroup.Disabled,)),
    ):
        for role, color in roles.items():
            for group in groups:
                palette.setColor(group, QPalette.ColorRole[role], QColor(color))
    QApplication.setPalette(palette)
