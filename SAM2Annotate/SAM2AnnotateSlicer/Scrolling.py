"""Scrolling: bringing a widget into sight, and pages that may be higher than the screen. Imports qt."""

from __future__ import annotations

import qt

_MARGIN = 8  # pixels


def reveal(widget) -> None:
    """Scroll the area that holds a widget until it is in sight, once the layout has settled. Does nothing if there is no such area."""
    qt.QTimer.singleShot(0, lambda: _revealNow(widget))


def _revealNow(widget) -> None:
    area = widget.parentWidget()
    while area is not None and not area.inherits("QScrollArea"):
        area = area.parentWidget()
    if area is not None and widget.visible:
        area.ensureWidgetVisible(widget, 0, _MARGIN)
