"""StatusColors: the one table of how a slice's status looks and what it is called, for strip, legend and overlays. Imports no Qt.

The colors are of the set of Okabe and Ito, which the color-blind tell apart; no meaning is in color alone, see `Fill`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from slicer.i18n import tr as _

from SAM2AnnotateLib.review import SliceStatus

DOUBT_RGB = (213, 94, 0)


class Fill(Enum):
    """How a cell is filled, so that it reads without color: open cells are to be looked at, full ones are locked."""

    OUTLINE = "outline"
    LOW = "low"  # the lower part
    LOW_HATCHED = "low, hatched"
    FULL = "full"
    FULL_BARRED = "full, with a light bar across"
    FULL_CROSSED = "full, with a light cross"


@dataclass(frozen=True)
class StatusLook:
    """How a status looks.

    Args:
        rgb: 0..255 each.
        fill: its shape.
        urgency: where one pixel shows several slices, the most urgent one is seen.
    """

    rgb: tuple[int, int, int]
    fill: Fill
    urgency: int


EMPTIED_LOOK = StatusLook((70, 70, 78), Fill.FULL_CROSSED, 0)

LOOKS: dict[SliceStatus, StatusLook] = {
    SliceStatus.EMPTY: StatusLook((150, 150, 150), Fill.OUTLINE, 3),
    SliceStatus.PROPOSED: StatusLook((0, 114, 178), Fill.LOW, 4),
    SliceStatus.STALE: StatusLook((230, 159, 0), Fill.LOW_HATCHED, 5),
    SliceStatus.ACCEPTED: StatusLook((0, 158, 115), Fill.FULL, 2),
    SliceStatus.CORRECTED: StatusLook((204, 121, 167), Fill.FULL_BARRED, 1),
}


def lookOf(status: SliceStatus, emptied: bool) -> StatusLook:
    """How a slice looks; `emptied` is a corrected one that was said to show nothing of the object."""
    return EMPTIED_LOOK if emptied and status is SliceStatus.CORRECTED else LOOKS[status]


def nameOf(look: StatusLook) -> str:
    """What the user calls it."""
    return {
        EMPTIED_LOOK: _("no object"),
        LOOKS[SliceStatus.EMPTY]: _("not computed"),
        LOOKS[SliceStatus.PROPOSED]: _("proposed"),
        LOOKS[SliceStatus.STALE]: _("out of date"),
        LOOKS[SliceStatus.ACCEPTED]: _("accepted"),
        LOOKS[SliceStatus.CORRECTED]: _("corrected"),
    }[look]


def legend() -> list[StatusLook]:
    """Every look, in the order of the work."""
    order = (SliceStatus.EMPTY, SliceStatus.PROPOSED, SliceStatus.STALE, SliceStatus.ACCEPTED, SliceStatus.CORRECTED)
    return [*(LOOKS[status] for status in order), EMPTIED_LOOK]
