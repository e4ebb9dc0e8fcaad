"""CheckedButton: a checkable button that is seen to be checked. Imports qt.

In Slicer's dark style a pressed button is as dark as one that is not; the color of what is selected tells them apart in both styles.
"""

from __future__ import annotations

import qt


def setChecked(button, checked: bool) -> None:
    """Check a button, or not, and give it the color that goes with it."""
    checked = bool(checked)
    if button.checked != checked:
        button.checked = checked
    colored = button.property("isColored") is True
    if colored == checked:
        return
    button.setProperty("isColored", checked)
    palette = qt.QPalette()  # without a color of its own: all are inherited
    if checked:
        inherited = button.palette
        palette.setColor(qt.QPalette.Button, inherited.color(qt.QPalette.Active, qt.QPalette.Highlight))
        palette.setColor(qt.QPalette.ButtonText, inherited.color(qt.QPalette.Active, qt.QPalette.HighlightedText))
    button.setPalette(palette)
